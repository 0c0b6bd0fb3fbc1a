// Metrics of an evaluation from the scores of its samples.
#pragma once

#include "engine/data/dataset.h"
#include "engine/tasks/objective.h"

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace reprise::engine {

// Name and value, in a fixed order.
using Metrics = std::vector<std::pair<std::string, double>>;

// val/loss and, by task, val/acc1 and val/acc5 (in percent, 0 to 100; acc5 only with more than
// 5 classes) or val/mae and val/rmse. Sums in float64 from the first sample to the last, so the
// bits depend on the scores alone. Errors: kUsage for no samples.
Metrics compute_metrics(std::span<const SampleScore> scores, Task task, std::int64_t outputs);

// The names that compute_metrics() gives, in its order.
std::vector<std::string> metric_names(Task task, std::int64_t outputs);

// Whether larger is better, for names of compute_metrics(): accuracy is, errors and loss are not.
bool larger_is_better(std::string_view metric);

}  // namespace reprise::engine
