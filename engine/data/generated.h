// The built-in sets as data sets.
#pragma once

#include "engine/data/dataset.h"
#include "engine/data/open.h"

#include <memory>

namespace reprise::engine {

// `side` 0: the default. Immutable; nothing is drawn before it is read.
// Errors: kUsage for a side that cannot be drawn.
std::shared_ptr<const Dataset> generated_roads(Split split, int side);
std::shared_ptr<const Dataset> generated_digits(Split split, int side);

}  // namespace reprise::engine
