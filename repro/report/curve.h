// One line of a chart: a measurement of one run over samples seen, or another axis.
#pragma once

#include "ckpt/store/metrics.h"
#include "repro/report/run_record.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace reprise::report {

// Samples seen is the fair one: runs of different batch size count updates differently.
enum class Axis : std::uint8_t { kSamples, kUpdates, kEpochs, kHours };
std::string_view title_of(Axis axis);  // "samples seen", "updates", ...

struct Point {
  double x = 0;
  double y = 0;  // may be NaN or infinite, as it was measured
  bool operator==(const Point&) const = default;
};

struct Curve {
  std::string label;
  std::vector<Point> points;
  std::optional<Point> best;   // of the finite ones, by direction; the earliest of equals
  std::vector<double> epochs;  // where each completed epoch ends
};

// `metric` is a column of valid.tsv or, with "train/" before it, of train.tsv. Nothing is drawn
// for a run without it. With a direction, `best` is found.
// O(rows log rows).
std::optional<Curve> curve_of(const RunRecord& run, std::string_view metric,
                              std::optional<store::MetricMode> mode, Axis axis);

// Samples in one epoch as the rows tell; nothing where they do not (no epoch is complete, or its
// length changed). Exact when a row stands at the end of an epoch, else the last row inside.
std::optional<double> samples_per_epoch(const RunRecord& run);

// At most about `limit` points with the same outline: of each stretch the lowest and the highest.
std::vector<Point> thinned(const std::vector<Point>& points, std::size_t limit);

}  // namespace reprise::report
