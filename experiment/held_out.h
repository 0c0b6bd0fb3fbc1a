// --val-split: one data set cut into a part to learn from and a part to evaluate on.
#pragma once

#include "engine/data/dataset.h"

#include <memory>

namespace reprise::experiment {

struct HeldOut {
  std::shared_ptr<const engine::Dataset> train, validation;
};

// Holds `share` of `whole` out (at least one sample, rounded to the nearest), drawn by the seed
// in evaluation's own domain; both parts keep the order of the set. The same set, seed and share
// give the same parts everywhere. The digests of the parts bind the whole set and the choice.
// Errors: kUsage when one part would be empty.
HeldOut hold_out(std::shared_ptr<const engine::Dataset> whole, double share, std::uint64_t seed);

}  // namespace reprise::experiment
