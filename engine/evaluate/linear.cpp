#include "engine/evaluate/linear.h"

#include "engine/determinism/determinism.h"
#include "engine/random/stream.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace reprise::engine {
namespace {

// A tensor of its own, so that the caller's numbers may go.
template <typename T>
at::Tensor column(const std::vector<T>& values, at::ScalarType type) {
  at::Tensor out = at::empty({static_cast<std::int64_t>(values.size())}, type);
  std::copy(values.begin(), values.end(), out.template mutable_data_ptr<T>());
  return out;
}

class LinearFit {
 public:
  LinearFit(const FeatureSet& bank, std::int64_t outputs, const LinearOptions& options)
      : options_(options), classes_(!bank.labels.empty()) {
    mean_ = bank.features.to(at::kDouble).mean(0, true);
    deviation_ = (bank.features.to(at::kDouble) - mean_).square().mean(0, true).sqrt();
    deviation_.clamp_min_(1e-6);
    const at::Tensor x = scaled(bank.features);
    const at::Tensor wanted =
        classes_ ? at::one_hot(column(bank.labels, at::kLong), outputs).to(at::kFloat)
                 : bank.values;
    weight_ = at::zeros({outputs, x.size(1)}, at::kFloat);
    bias_ = classes_ ? at::zeros({outputs}, at::kFloat) : wanted.mean(0);
    fit(x, wanted);
  }

  at::Tensor outputs(const at::Tensor& features) const { return product(scaled(features)); }

 private:
  at::Tensor scaled(const at::Tensor& features) const {
    return ((features.to(at::kDouble) - mean_) / deviation_).to(at::kFloat);
  }
  at::Tensor product(const at::Tensor& x) const { return at::matmul(x, weight_.t()) + bias_; }

  void fit(const at::Tensor& x, const at::Tensor& wanted) {
    at::Tensor weight_speed = at::zeros_like(weight_);
    at::Tensor bias_speed = at::zeros_like(bias_);
    const std::int64_t samples = x.size(0);
    const std::int64_t batch = std::min(options_.batch, samples);
    const std::int64_t per_epoch = samples / batch;
    for (std::int64_t epoch = 0; epoch < options_.epochs; ++epoch) {
      const auto number = static_cast<std::uint64_t>(epoch);
      const auto drawn = permutation(Stream(options_.seed, Domain::kEvaluation, {number}),
                                     static_cast<std::uint64_t>(samples));
      const at::Tensor order =
          column(std::vector<std::int64_t>(drawn.begin(), drawn.end()), at::kLong);
      for (std::int64_t i = 0; i < per_epoch; ++i) {
        const at::Tensor ids = order.narrow(0, i * batch, batch);
        const at::Tensor input = x.index_select(0, ids);
        at::Tensor error = product(input);
        if (classes_) error = at::softmax(error, -1);
        error = (error - wanted.index_select(0, ids)) / static_cast<double>(batch);
        const double part = static_cast<double>(epoch * per_epoch + i) /
                            static_cast<double>(options_.epochs * per_epoch);
        const double rate = options_.lr * (1 + std::cos(std::numbers::pi * part)) / 2;
        weight_speed.mul_(options_.momentum).add_(at::matmul(error.t(), input));
        bias_speed.mul_(options_.momentum).add_(error.sum(0));
        // Numbers with a wide spread of features diverge at a classifier's rate.
        const double scale = classes_ ? 1 : 1 / static_cast<double>(x.size(1));
        weight_.sub_(weight_speed, rate * scale);
        bias_.sub_(bias_speed, rate * scale);
      }
    }
  }

  LinearOptions options_;
  bool classes_;
  at::Tensor mean_, deviation_, weight_, bias_;
};

}  // namespace

std::vector<SampleScore> linear_scores(const FeatureSet& bank, const FeatureSet& queries,
                                       std::int64_t classes, const LinearOptions& options,
                                       WorkerPool& pool) {
  require_comparable(bank, queries, classes);
  std::vector<SampleScore> scores;
  // On one of the pool's threads, which compute with one thread each.
  translate_torch_errors([&] {
    pool.run(1, [&](std::size_t) {
      const at::NoGradGuard no_gradients;
      const std::int64_t outputs = bank.labels.empty() ? bank.values.size(1) : classes;
      const at::Tensor found = LinearFit(bank, outputs, options).outputs(queries.features);
      ObjectiveOptions objective;
      objective.task = bank.labels.empty() ? Task::kRegression : Task::kClassification;
      const at::Tensor labels = column(queries.labels, at::kLong);
      scores = Objective(objective).scores(found, labels, queries.values, found.size(0));
    });
  });
  return scores;
}

}  // namespace reprise::engine
