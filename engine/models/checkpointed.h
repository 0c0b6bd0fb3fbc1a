// Activation checkpointing: keep a block's input, compute the block again on the way back.
#pragma once

#include "engine/models/pass.h"
#include "engine/weights/weights.h"

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <functional>

namespace reprise::engine {

// The parameters of a block: a run of indices in the layout.
struct ParameterRange {
  std::size_t first = 0;
  std::size_t last = 0;
};

// block(x). With Pass::activation_checkpointing in training nothing inside the block is kept
// (Chen et al. 2016); backward runs it once more and differentiates that. The second run draws the
// same random numbers, because they are keyed, and writes the same BatchNorm moments to the same
// place, so bits are those of a run without checkpointing. `block`, weights and pass must live
// until the backward pass is over. Cost: one more forward pass of the block.
at::Tensor checkpointed(const std::function<at::Tensor(const at::Tensor&)>& block,
                        const at::Tensor& x, const Weights& weights, ParameterRange parameters,
                        const Pass& pass);

}  // namespace reprise::engine
