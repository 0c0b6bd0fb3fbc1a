// The metrics state of schema v5: history and best value of each metric, as the
// `metrics` field of a checkpoint keeps it.
#pragma once

#include "ckpt/base/json.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace reprise::store {

enum class MetricMode : std::uint8_t { kMin, kMax };
std::string_view to_string(MetricMode mode);  // "min", "max"
std::optional<MetricMode> metric_mode_from(std::string_view name);

// One metric. `values` has one number for each evaluation; a value that is not
// finite is kept as NaN (null in JSON).
struct Metric {
  MetricMode mode = MetricMode::kMin;
  bool use_for_is_best = false;  // the major metric
  bool use_for_plateau_detection = false;
  std::uint64_t patience = 5;  // evaluations
  double min_delta = 0;        // improvements have to be larger than this
  bool percentage = false;     // min_delta in percent of the best value
  std::vector<double> values;
  std::vector<std::uint64_t> updates;  // at which each value was measured; empty in foreign files
  std::optional<double> best;          // nothing until a finite value came
  std::uint64_t unchanged_for_epochs = 0;  // evaluations since the best one
  Json others = Json::object();            // keys of other writers, kept as they are

  // Whether `value` would improve on the best so far. NaN never does.
  bool improves(double value) const;
  // Adds a measurement and returns whether it is the best so far.
  bool record(double value, std::uint64_t update);
  // Whether the last value is better than each one before it, by however little: `min_delta` is
  // about the plateau. Cost: O(values).
  bool last_is_best() const;
  // Judges all values anew when the direction is another one.
  void set_mode(MetricMode other);
  // No improvement for `patience` evaluations.
  bool plateau() const { return unchanged_for_epochs >= patience; }
  // The last value, when it was measured at `update` (or nobody says when).
  std::optional<double> value_at(std::uint64_t update) const;
};

// Metrics by name, in order. A value type; not synchronised.
class MetricsState {
 public:
  MetricsState() = default;
  // Reads the `metrics` field. What an entry does not say gets its default; entries
  // that are no metrics are kept as they are and written back.
  // Errors: kCorrupt naming metric and key, for a value of the wrong type.
  static MetricsState from(const Json& metrics);
  Json to_json() const;

  // The metric of that name, added with `mode` if it is new.
  Metric& add(std::string_view name, MetricMode mode);
  Metric* find(std::string_view name);
  const Metric* find(std::string_view name) const;
  // The first one marked use_for_is_best; nullptr when there is none.
  const std::pair<std::string, Metric>* major() const;
  // Marks `name` as the major metric, and no other; what was measured is judged in `mode`.
  void set_major(std::string_view name, MetricMode mode);
  const std::vector<std::pair<std::string, Metric>>& metrics() const { return metrics_; }

 private:
  std::vector<std::pair<std::string, Metric>> metrics_;
  Json others_ = Json::object();
};

// "val/acc1:max" as the option --major-metric takes it; without a direction, the
// usual one of the name ("acc" max, "loss" min). Errors: kUsage.
std::pair<std::string, MetricMode> parse_major_metric(std::string_view text);

}  // namespace reprise::store
