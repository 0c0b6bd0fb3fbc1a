// Pictures by gnuplot, which is run as a program when a picture is asked for.
#pragma once

#include "repro/report/curve.h"

#include <filesystem>
#include <string>
#include <vector>

namespace reprise::report {

struct Picture {
  std::string title;
  std::string x_title;
  std::vector<Curve> curves;
};

// Draws curves into `file`, a PNG or SVG by its suffix, which is replaced when the picture is
// complete: a green dot at each best value, a red line at the end of each epoch.
// gnuplot gets numbers in a file and text in quotes in which nothing has a meaning; it reads no
// configuration of the user. Half a second.
// Errors: kUsage for another suffix; kUnsupported when there is no gnuplot; kIo when it fails.
void draw(const Picture& picture, const std::filesystem::path& file);

}  // namespace reprise::report
