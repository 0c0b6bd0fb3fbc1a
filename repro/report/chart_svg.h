// A chart as SVG inside a page: its colours are those of the page's style (html.h).
#pragma once

#include "repro/report/curve.h"

#include <span>
#include <string>

namespace reprise::report {

// Curves coloured by their position ("c0".."c7", then again, dashed); a green dot at each best
// value, a red line at the end of each epoch. Values of very different size get a logarithmic
// axis. At most about 500 points a curve are drawn. Curves without a finite value leave a gap
// in the colours, so that a run has one colour in every chart. Empty when nothing is finite.
std::string chart_svg(std::span<const std::optional<Curve>> curves, Axis axis);

// The classes of curve `index`, and the stroke attributes that tell it from others of its colour.
std::string curve_classes(std::size_t index);
std::string curve_dashes(std::size_t index);

// Round numbers from below `low` to above `high`, about `count` of them. `low` < `high`, finite.
std::vector<double> ticks(double low, double high, int count);

}  // namespace reprise::report
