#include "train/lr_factors.h"

#include "ckpt/base/error.h"
#include "ckpt/base/nearest_name.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace reprise::train {
namespace {

std::pair<std::string, double> factor_in(std::string_view part) {
  const std::size_t equals = part.rfind('=');
  double factor = -1;
  if (equals != std::string_view::npos && equals > 0) {
    const char* end = part.data() + part.size();
    const auto parsed = std::from_chars(part.data() + equals + 1, end, factor);
    if (parsed.ec != std::errc() || parsed.ptr != end) factor = -1;
  }
  // Also refuses what is no number.
  if (!(factor >= 0 && factor <= 1e6)) {
    fail(Code::kUsage,
         "lr-factors: '{}': expected the start of a name, '=' and a factor from 0 to 1e6, as "
         "blocks.0.=0.5",
         printable(part));
  }
  return {std::string(part.substr(0, equals)), factor};
}

void require_match(const std::string& start, const engine::Layout& layout) {
  std::vector<std::string> names;
  for (const engine::ParameterSpec& spec : layout.parameters()) {
    if (spec.name.starts_with(start)) return;
    names.push_back(spec.name);
  }
  const auto nearest = nearest_name(start, names);
  fail(Code::kUsage, "lr-factors: no weight's name begins with '{}'{}", printable(start),
       nearest ? fmt::format("; did you mean '{}'?", *nearest)
               : fmt::format("; they begin as '{}'", names.front()));
}

}  // namespace

std::vector<std::pair<std::string, double>> lr_factors(const experiment::Config& config,
                                                       const engine::Layout& layout,
                                                       std::string_view head) {
  std::vector<std::pair<std::string, double>> factors;
  if (config.head_lr > 0) factors.emplace_back(head, config.head_lr / *config.lr);
  const std::string_view all = config.lr_factors;
  for (std::size_t start = 0; start < all.size();) {
    const std::size_t end = std::min(all.find(',', start), all.size());
    factors.push_back(factor_in(all.substr(start, end - start)));
    require_match(factors.back().first, layout);
    start = end + 1;
  }
  return factors;
}

}  // namespace reprise::train
