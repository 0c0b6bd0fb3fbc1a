#include "engine/tasks/objective.h"

#include "ckpt/base/error.h"
#include "ckpt/base/nearest_name.h"
#include "engine/random/stable_math.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <span>

namespace reprise::engine {
namespace {

const std::vector<std::string> kLosses{"cross-entropy", "mse", "l1", "huber"};

double huber(double error, double delta) {
  const double size = std::abs(error);
  return size <= delta ? 0.5 * error * error : delta * (size - 0.5 * delta);
}

// stable_exp() takes no less than -700, where e^x is nothing beside the 1 of the largest.
double exp_or_zero(double x) { return x < -700 ? 0 : stable_exp(x); }

SampleScore classification_score(std::span<const float> row, std::int64_t label) {
  SampleScore score;
  const auto right = static_cast<std::size_t>(label);
  const double largest = static_cast<double>(*std::ranges::max_element(row));
  double sum = 0;
  std::size_t before = 0;  // outputs that come before the label's
  bool finite = true;
  for (std::size_t i = 0; i < row.size(); ++i) {
    finite = finite && std::isfinite(row[i]);
    if (!finite) break;
    sum += exp_or_zero(static_cast<double>(row[i]) - largest);
    if (row[i] > row[right] || (row[i] == row[right] && i < right)) ++before;
  }
  if (!finite) {
    score.loss = std::nan("");
    return score;
  }
  score.loss = stable_log(sum) - (static_cast<double>(row[right]) - largest);
  score.correct1 = before < 1 ? 1 : 0;
  score.correct5 = before < 5 ? 1 : 0;
  return score;
}

}  // namespace

Objective::Objective(const ObjectiveOptions& options) : options_(options) {
  const bool classes = options_.task == Task::kClassification;
  if (options_.loss.empty()) options_.loss = classes ? "cross-entropy" : "mse";
  if (std::ranges::find(kLosses, options_.loss) == kLosses.end()) {
    const auto nearest = nearest_name(options_.loss, kLosses);
    fail(Code::kUsage, "unknown loss '{}'{}; there are cross-entropy, mse, l1 and huber",
         printable(options_.loss), nearest ? fmt::format("; did you mean '{}'?", *nearest) : "");
  }
  if (classes != (options_.loss == "cross-entropy")) {
    fail(Code::kUsage, "loss {} is not one of {}", options_.loss,
         classes ? "classification: use cross-entropy" : "regression: use mse, l1 or huber");
  }
  if (!(options_.label_smoothing >= 0 && options_.label_smoothing < 1)) {
    fail(Code::kUsage, "label smoothing is {}; it has to be at least 0 and below 1",
         options_.label_smoothing);
  }
  if (!classes && options_.label_smoothing > 0) {
    fail(Code::kUsage,
         "label smoothing is for classes, and what is to be learnt here are numbers; leave "
         "--label-smoothing out");
  }
  if (!(options_.huber_delta > 0)) {
    fail(Code::kUsage, "the delta of the Huber loss is {}; it has to be above 0",
         options_.huber_delta);
  }
}

at::Tensor Objective::loss_sum(const at::Tensor& outputs, const at::Tensor& labels,
                               const at::Tensor& values) const {
  if (options_.task == Task::kClassification) {
    return at::cross_entropy_loss(outputs, labels, {}, at::Reduction::Sum, -100,
                                  options_.label_smoothing);
  }
  const auto targets = static_cast<double>(values.size(1));
  at::Tensor sum;
  if (options_.loss == "mse") {
    sum = at::mse_loss(outputs, values, at::Reduction::Sum);
  } else if (options_.loss == "l1") {
    sum = at::l1_loss(outputs, values, at::Reduction::Sum);
  } else {
    sum = at::huber_loss(outputs, values, at::Reduction::Sum, options_.huber_delta);
  }
  return sum / targets;
}

std::vector<SampleScore> Objective::scores(const at::Tensor& outputs, const at::Tensor& labels,
                                           const at::Tensor& values, std::int64_t count) const {
  const at::Tensor rows = outputs.detach().to(at::kCPU, at::kFloat).contiguous();
  const auto width = static_cast<std::size_t>(rows.size(1));
  const float* row = rows.const_data_ptr<float>();
  std::vector<SampleScore> scores(static_cast<std::size_t>(count));
  if (options_.task == Task::kClassification) {
    const at::Tensor host = labels.cpu();
    const std::int64_t* label = host.const_data_ptr<std::int64_t>();
    for (std::size_t i = 0; i < scores.size(); ++i, row += width) {
      if (label[i] < 0 || static_cast<std::size_t>(label[i]) >= width) {
        fail(Code::kMismatch, "label {} in the data, {} outputs in the network: another data set?",
             label[i], width);
      }
      scores[i] = classification_score({row, width}, label[i]);
    }
    return scores;
  }
  if (values.size(1) != rows.size(1)) {
    fail(Code::kMismatch, "{} numbers a target in the data, {} outputs in the network",
         values.size(1), width);
  }
  const at::Tensor host = values.to(at::kCPU).contiguous();
  const float* target = host.const_data_ptr<float>();
  const auto n = static_cast<double>(width);
  for (SampleScore& score : scores) {
    for (std::size_t t = 0; t < width; ++t) {
      const double error = static_cast<double>(row[t]) - static_cast<double>(target[t]);
      score.absolute_error += std::abs(error) / n;
      score.squared_error += error * error / n;
      score.loss += (options_.loss == "mse"  ? error * error
                     : options_.loss == "l1" ? std::abs(error)
                                             : huber(error, options_.huber_delta)) /
                    n;
    }
    row += width;
    target += width;
  }
  return scores;
}

}  // namespace reprise::engine
