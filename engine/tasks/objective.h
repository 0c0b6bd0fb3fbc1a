// What is learnt: classification or regression, its loss, and the values of one sample.
#pragma once

#include "engine/data/dataset.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace reprise::engine {

struct ObjectiveOptions {
  Task task = Task::kClassification;
  std::string loss;  // cross-entropy (default of classification), mse (of regression), l1, huber
  double label_smoothing = 0;  // classification, training only
  double huber_delta = 1;
};

// What one sample contributes to metrics; summed in data set order by metrics.
struct SampleScore {
  double loss = 0;  // without label smoothing; regression: mean over targets
  double correct1 =
      0;  // classification: 1 or 0. A tie counts as wrong unless the label comes first
  double correct5 = 0;
  double absolute_error = 0;  // regression: mean over targets
  double squared_error = 0;
};

// Immutable; safe to share between threads.
class Objective {
 public:
  // Errors: kUsage for an unknown loss (with the nearest) or one of the other task.
  explicit Objective(const ObjectiveOptions& options);

  const ObjectiveOptions& options() const { return options_; }

  // Sum over samples of the training loss, differentiable, float32 scalar. `outputs` [batch, n];
  // `labels` int64 [batch] or `values` float32 [batch, n].
  at::Tensor loss_sum(const at::Tensor& outputs, const at::Tensor& labels,
                      const at::Tensor& values) const;

  // Scores of the first `count` samples, each a function of its own row alone, in float64.
  std::vector<SampleScore> scores(const at::Tensor& outputs, const at::Tensor& labels,
                                  const at::Tensor& values, std::int64_t count) const;

 private:
  ObjectiveOptions options_;
};

}  // namespace reprise::engine
