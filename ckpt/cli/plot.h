// Pictures by gnuplot, which is run as a program when a picture is asked for.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace reprise::cli {

struct RangePoint {
  std::string name;
  double min = 0;
  double max = 0;
  double mean = 0;
  double deviation = 0;
};

// Draws, for each point in order, the range from min to max and mean +- deviation, into
// the PNG `file`, which is replaced when the picture is complete.
// Errors: kUnsupported when there is no gnuplot; kIo when it fails.
void plot_ranges(const std::filesystem::path& file, const std::string& title,
                 const std::vector<RangePoint>& points);

}  // namespace reprise::cli
