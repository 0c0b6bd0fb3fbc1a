#include "repro/report/curve.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace reprise::report {
namespace {

// Beyond this nobody can tell the lines of epochs apart.
constexpr double kMostEpochs = 1e5;

// Samples seen -> another axis, linear between the rows.
class AxisMap {
 public:
  AxisMap(const RunRecord& run, Axis axis) : axis_(axis) {
    if (axis == Axis::kSamples) return;
    knots_.push_back({0, 0});
    if (axis == Axis::kHours) {
      add_hours(run);
    } else if (axis == Axis::kEpochs) {
      const std::optional<double> length = samples_per_epoch(run);
      // Inside a first epoch of unknown length, and where the length changed, rows still say
      // which epoch they are in.
      if (length) {
        knots_.push_back({*length, 1});
      } else {
        for (const HistoryRow& row : run.train.rows) add(row, static_cast<double>(row.epoch));
        for (const HistoryRow& row : run.valid.rows) add(row, static_cast<double>(row.epoch));
      }
    } else {
      for (const History* table : {&run.train, &run.valid}) {
        for (const HistoryRow& row : table->rows) add(row, static_cast<double>(row.update));
      }
    }
    std::ranges::sort(knots_, {}, &Point::x);
    const auto same_x = [](const Point& a, const Point& b) { return a.x == b.x; };
    knots_.erase(std::unique(knots_.begin(), knots_.end(), same_x), knots_.end());
  }

  double operator()(double samples) const {
    if (axis_ == Axis::kSamples || knots_.size() < 2) return samples;
    auto after = std::ranges::upper_bound(knots_, samples, {}, &Point::x);
    if (after == knots_.begin()) return knots_.front().y;
    // Behind the last knot the last stretch goes on.
    if (after == knots_.end()) --after;
    const Point& a = *(after - 1);
    const Point& b = *after;
    return a.y + (samples - a.x) / (b.x - a.x) * (b.y - a.y);
  }

 private:
  void add(const HistoryRow& row, double y) {
    knots_.push_back({static_cast<double>(row.samples_seen), y});
  }
  void add_hours(const RunRecord& run) {
    const auto time = run.train.column("time");
    if (!time) return;
    double hours = 0;
    std::uint64_t before = 0;
    for (const HistoryRow& row : run.train.rows) {
      const double seconds = row.values[*time] * static_cast<double>(row.update - before);
      if (std::isfinite(seconds)) hours += seconds / 3600;
      before = row.update;
      add(row, hours);
    }
  }

  Axis axis_;
  std::vector<Point> knots_;  // x: samples seen, rising; y: on the axis
};

}  // namespace

std::string_view title_of(Axis axis) {
  switch (axis) {
    case Axis::kSamples: return "samples seen";
    case Axis::kUpdates: return "updates";
    case Axis::kEpochs: return "epochs";
    case Axis::kHours: return "hours of training";
  }
  return "";
}

std::optional<double> samples_per_epoch(const RunRecord& run) {
  // With E samples an epoch, a row after s samples that is in epoch e (from 1) says
  // (e - 1) E < s <= e E, and one with e completed epochs says e E <= s.
  double at_least = 0;
  double at_most = std::numeric_limits<double>::infinity();
  for (const HistoryRow& row : run.train.rows) {
    const auto s = static_cast<double>(row.samples_seen);
    const auto e = static_cast<double>(row.epoch);
    if (e < 1 || s <= 0) continue;
    at_least = std::max(at_least, s / e);
    if (e > 1) at_most = std::min(at_most, s / (e - 1));
  }
  const double by_training = at_most;
  for (const HistoryRow& row : run.valid.rows) {
    if (row.epoch > 0 && row.samples_seen > 0) {
      at_most =
          std::min(at_most, static_cast<double>(row.samples_seen) / static_cast<double>(row.epoch));
    }
  }
  if (!std::isfinite(at_most) || at_least > at_most) return std::nullopt;
  // Evaluations happen at the end of an epoch; log lines as a rule somewhere in it.
  return at_most < by_training || at_least <= 0 ? at_most : at_least;
}

std::optional<Curve> curve_of(const RunRecord& run, std::string_view metric,
                              std::optional<store::MetricMode> mode, Axis axis) {
  constexpr std::string_view kTrain = "train/";
  const bool of_training = metric.starts_with(kTrain);
  const History& table = of_training ? run.train : run.valid;
  const auto column = table.column(of_training ? metric.substr(kTrain.size()) : metric);
  if (!column || table.rows.empty()) return std::nullopt;
  const AxisMap map(run, axis);
  Curve curve;
  curve.label = run.label;
  for (const HistoryRow& row : table.rows) {
    const Point point{map(static_cast<double>(row.samples_seen)), row.values[*column]};
    curve.points.push_back(point);
    if (!mode || !std::isfinite(point.y)) continue;
    const bool better = !curve.best || (*mode == store::MetricMode::kMax ? point.y > curve.best->y
                                                                         : point.y < curve.best->y);
    if (better) curve.best = point;
  }
  if (const auto length = samples_per_epoch(run)) {
    const double epochs =
        std::min(kMostEpochs, std::floor(static_cast<double>(run.samples_seen()) / *length + 1e-9));
    for (double e = 1; e <= epochs; ++e) curve.epochs.push_back(map(e * *length));
  }
  return curve;
}

std::vector<Point> thinned(const std::vector<Point>& points, std::size_t limit) {
  if (points.size() <= limit || limit < 4) return points;
  const std::size_t stretches = limit / 2;
  std::vector<Point> out;
  for (std::size_t i = 0; i < stretches; ++i) {
    const auto begin = points.begin() + static_cast<std::ptrdiff_t>(points.size() * i / stretches);
    const auto end =
        points.begin() + static_cast<std::ptrdiff_t>(points.size() * (i + 1) / stretches);
    const auto finite_less = [](const Point& a, const Point& b) {
      return !std::isnan(a.y) && (std::isnan(b.y) || a.y < b.y);
    };
    const auto finite_more = [](const Point& a, const Point& b) {
      return !std::isnan(a.y) && (std::isnan(b.y) || a.y > b.y);
    };
    auto low = std::min_element(begin, end, finite_less);
    auto high = std::min_element(begin, end, finite_more);
    if (high < low) std::swap(low, high);
    out.push_back(*low);
    if (high != low) out.push_back(*high);
  }
  return out;
}

}  // namespace reprise::report
