// A head on a backbone that does not learn.
#pragma once

#include "engine/models/network.h"

#include <memory>

namespace reprise::engine {

// The weights of this network are its head's alone, under the names that the backbone's
// architecture gives a head; the backbone computes with `weights`, without gradients and with
// running statistics, and writes to nothing. `backbone`: without a head.
std::unique_ptr<const Network> on_frozen_backbone(std::shared_ptr<const Network> backbone,
                                                  std::shared_ptr<const Weights> weights,
                                                  std::int64_t outputs);

}  // namespace reprise::engine
