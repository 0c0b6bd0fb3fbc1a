// What one forward pass needs besides weights and input, and what it leaves behind.
#pragma once

#include "engine/weights/layout.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace reprise::engine {

// BatchNorm's statistics of one shard in one layer, where they were computed: to read them there
// and then, the host would have to wait for the device.
struct LayerMoments {
  at::Tensor mean;         // float32 [channels]
  at::Tensor variance;     // likewise, unbiased
  std::int64_t count = 0;  // of values per channel; 0: the layer was not used
};

// One a layer, in the order of Layout::batch_norms().
using Moments = std::vector<LayerMoments>;

// One pass of one shard; belongs to the thread that computes it. Random layers draw from
// (seed, update, shard, layer) and hold no state, so a pass can be replayed, as activation
// checkpointing does, and draws the same numbers.
struct Pass {
  // Dropout, drop path and batch statistics on; off: running statistics, nothing random.
  bool training = false;
  std::uint64_t seed = 0;
  std::uint64_t update = 0;
  std::uint64_t shard = 0;
  // Where BatchNorm layers write their statistics in training; resized by the caller to
  // the number of such layers. Null: not kept (a second view of the same images, say).
  Moments* moments = nullptr;
  // Element type of matrix products and convolutions; float32 unless --amp.
  at::ScalarType compute_type = at::kFloat;
  // Blocks keep only their input and are computed again on the way back.
  bool activation_checkpointing = false;
};

}  // namespace reprise::engine
