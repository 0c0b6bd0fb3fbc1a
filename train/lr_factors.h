// Learning rates of groups of weights: --lr-factors and --head-lr.
#pragma once

#include "engine/weights/layout.h"
#include "experiment/config.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace reprise::train {

// What engine::OptimizerOptions takes: beginnings of names and factors. --lr-factors goes before
// --head-lr where both name the head. `head`: the prefix of its names. Errors: kUsage for text
// that is no list of NAME=FACTOR, and for a name that no weight of `layout` begins with.
std::vector<std::pair<std::string, double>> lr_factors(const experiment::Config& config,
                                                       const engine::Layout& layout,
                                                       std::string_view head);

}  // namespace reprise::train
