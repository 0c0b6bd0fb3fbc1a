#include "repro/report/chart_svg.h"

#include "repro/report/html.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

namespace reprise::report {
namespace {

constexpr std::size_t kColours = 8;
constexpr std::size_t kMostEpochLines = 60;
constexpr std::size_t kMostPoints = 500;
// A little wider than a phone: text of 12 stays readable there.
constexpr double kWidth = 420, kHeight = 250;
constexpr double kLeft = 52, kRight = 14, kTop = 10, kBottom = 38;

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  // A single value gets room around it.
  void widen() {
    if (high > low) return;
    const double room = std::max(std::abs(high) * 0.05, 1e-9);
    low -= room;
    high += room;
  }
};

struct Frame {
  Range x, y;  // y in powers of ten where it is logarithmic
  bool logarithmic = false;
  double at_x(double value) const {
    return kLeft + (value - x.low) / (x.high - x.low) * (kWidth - kLeft - kRight);
  }
  double at_y(double value) const {
    const double v = logarithmic ? std::log10(value) : value;
    return kHeight - kBottom - (v - y.low) / (y.high - y.low) * (kHeight - kTop - kBottom);
  }
};

// Differences of huge values overflow; nothing that was measured is of that size.
bool drawable(const Point& point) { return std::abs(point.y) < 1e300 && std::abs(point.x) < 1e300; }

std::string path_of(const std::vector<Point>& points, const Frame& frame) {
  std::string path;
  bool pen_down = false;
  for (const Point& point : points) {
    if (!drawable(point)) {  // NaN, too
      pen_down = false;
      continue;
    }
    path += fmt::format("{}{:.1f} {:.1f}", pen_down ? "L" : "M", frame.at_x(point.x),
                        frame.at_y(point.y));
    pen_down = true;
  }
  return path;
}

// Powers of ten in a range of exponents; of narrow ones also their double and fivefold.
std::vector<double> decade_ticks(const Range& exponents) {
  const double step = std::max(1.0, std::ceil((exponents.high - exponents.low) / 6));
  std::vector<double> out;
  for (double e = std::floor(exponents.low); e <= exponents.high; e += step) {
    out.push_back(std::pow(10, e));
    if (exponents.high - exponents.low > 2.5) continue;
    out.push_back(2 * std::pow(10, e));
    out.push_back(5 * std::pow(10, e));
  }
  return out;
}

std::string axes(const Frame& frame, std::string_view x_title) {
  std::string out;
  const double bottom = kHeight - kBottom;
  for (const double value :
       frame.logarithmic ? decade_ticks(frame.y) : ticks(frame.y.low, frame.y.high, 5)) {
    const double place = frame.logarithmic ? std::log10(value) : value;
    if (place < frame.y.low || place > frame.y.high) continue;
    const double y = frame.at_y(value);
    out += fmt::format(
        "<path class=\"grid\" d=\"M{} {:.1f}H{}\"/><text x=\"{}\" y=\"{:.1f}\" "
        "text-anchor=\"end\">{}</text>",
        kLeft, y, kWidth - kRight, kLeft - 6, y + 4,
        frame.logarithmic ? fmt::format("{:.1g}", value) : short_number(value));
  }
  for (const double value : ticks(frame.x.low, frame.x.high, 5)) {
    if (value < frame.x.low || value > frame.x.high) continue;
    out += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                       frame.at_x(value), bottom + 16, short_number(value));
  }
  out += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>", kWidth - kRight,
                     kHeight - 5, html(x_title));
  return out;
}

}  // namespace

std::vector<double> ticks(double low, double high, int count) {
  const double rough = (high - low) / count;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  const double lead = rough / power;
  const double step = (lead < 1.5 ? 1 : lead < 3.5 ? 2 : lead < 7.5 ? 5 : 10) * power;
  std::vector<double> out;
  const double first = std::floor(low / step);
  for (int i = 0; i <= 4 * count && out.size() < 64; ++i) {
    double value = (first + i) * step;
    if (std::abs(value) < step * 1e-9) value = 0;
    out.push_back(value);
    if (value >= high) break;
  }
  return out;
}

std::string curve_classes(std::size_t index) { return fmt::format("curve c{}", index % kColours); }

std::string curve_dashes(std::size_t index) {
  const std::size_t round = index / kColours;
  return round == 0 ? "" : fmt::format(" stroke-dasharray=\"{} 3\"", 2 + 4 * (round % 3));
}

std::string chart_svg(std::span<const std::optional<Curve>> curves, Axis axis) {
  Frame frame;
  Range y;
  std::set<double> epochs;
  for (const auto& curve : curves) {
    if (!curve) continue;
    for (const Point& point : curve->points) {
      if (!drawable(point)) continue;
      frame.x.add(point.x);
      y.add(point.y);
    }
    epochs.insert(curve->epochs.begin(), curve->epochs.end());
  }
  if (!(y.low <= y.high)) return {};
  frame.x.add(0);
  frame.x.widen();
  frame.logarithmic = y.low > 0 && y.high / y.low > 50;
  if (frame.logarithmic) y = {std::log10(y.low), std::log10(y.high)};
  y.widen();
  const double room = (y.high - y.low) * 0.04;
  frame.y = {y.low - room, y.high + room};

  std::string out = fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\">", kWidth, kHeight);
  out += axes(frame, title_of(axis));
  const std::size_t step = epochs.size() / kMostEpochLines + 1;
  std::size_t index = 0;
  for (const double x : epochs) {
    if (index++ % step != 0 || x > frame.x.high) continue;
    out += fmt::format("<path class=\"epoch\" d=\"M{:.1f} {}V{}\"/>", frame.at_x(x), kTop,
                       kHeight - kBottom);
  }
  for (std::size_t i = 0; i < curves.size(); ++i) {
    if (!curves[i]) continue;
    const std::vector<Point> points = thinned(curves[i]->points, kMostPoints);
    out += fmt::format("<path class=\"{}\"{} d=\"{}\"/>", curve_classes(i), curve_dashes(i),
                       path_of(points, frame));
    if (points.size() <= 60) {
      for (const Point& point : points) {
        if (!drawable(point)) continue;
        out += fmt::format("<circle class=\"c{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"1.8\"/>",
                           i % kColours, frame.at_x(point.x), frame.at_y(point.y));
      }
    }
  }
  // Above every line.
  for (const auto& curve : curves) {
    if (!curve || !curve->best || !drawable(*curve->best)) continue;
    out += fmt::format(
        "<circle class=\"best\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5\"><title>{}: best {:.6g} at {} "
        "{}</title></circle>",
        frame.at_x(curve->best->x), frame.at_y(curve->best->y), html(curve->label), curve->best->y,
        short_number(curve->best->x), title_of(axis));
  }
  return out + "</svg>";
}

}  // namespace reprise::report
