// Multi-scale training: the side of an update's images is drawn anew for each update.
#pragma once

#include "engine/models/network.h"
#include "experiment/config.h"

#include <cstdint>
#include <vector>

namespace reprise::train {

// Sides by (seed, update): no process, worker or earlier draw has a part in it. Immutable.
class MultiScale {
 public:
  // Off unless the configuration has multi-scale-min or multi-scale-max. Steps: a ViT's patches, 8
  // pixels for other networks, counted from the smallest side. Errors: kUsage for sides that are
  // no multiple of the patch size, or in the wrong order.
  MultiScale(const experiment::Config& config, const engine::NetworkOptions& network);

  // 0 when it is off: what engine::BatchRequest and engine::LoaderOptions take.
  int largest() const { return sides_.empty() ? 0 : sides_.back(); }
  int side(std::uint64_t update) const;

 private:
  std::uint64_t seed_;
  std::vector<int> sides_;  // rising
};

}  // namespace reprise::train
