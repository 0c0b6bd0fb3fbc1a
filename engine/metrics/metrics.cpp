#include "engine/metrics/metrics.h"

#include "ckpt/base/error.h"

#include <cmath>
#include <utility>

namespace reprise::engine {

Metrics compute_metrics(std::span<const SampleScore> scores, Task task, std::int64_t outputs) {
  if (scores.empty()) fail(Code::kUsage, "there is no sample to evaluate");
  SampleScore sum;
  for (const SampleScore& score : scores) {
    sum.loss += score.loss;
    sum.correct1 += score.correct1;
    sum.correct5 += score.correct5;
    sum.absolute_error += score.absolute_error;
    sum.squared_error += score.squared_error;
  }
  const auto n = static_cast<double>(scores.size());
  Metrics metrics{{"val/loss", sum.loss / n}};
  if (task == Task::kClassification) {
    metrics.emplace_back("val/acc1", 100 * sum.correct1 / n);
    if (outputs > 5) metrics.emplace_back("val/acc5", 100 * sum.correct5 / n);
  } else {
    metrics.emplace_back("val/mae", sum.absolute_error / n);
    metrics.emplace_back("val/rmse", std::sqrt(sum.squared_error / n));
  }
  return metrics;
}

std::vector<std::string> metric_names(Task task, std::int64_t outputs) {
  std::vector<std::string> names;
  for (auto& [name, value] : compute_metrics(std::vector<SampleScore>(1), task, outputs)) {
    names.push_back(std::move(name));
  }
  return names;
}

bool larger_is_better(std::string_view metric) {
  return metric.find("/acc") != std::string_view::npos;
}

}  // namespace reprise::engine
