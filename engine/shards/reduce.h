// The top of the tree: sums over processes.
#pragma once

#include "engine/distributed/communicator.h"

#include <ATen/core/Tensor.h>

namespace reprise::engine {

// Replaces `flat` (float32, on every rank the sum of its subtree) by the sum over all ranks, in
// the fixed tree: exchange with the partner at distance 1, 2, 4, ..., each time half of what is
// left, added as it comes, then gather the pieces back. The bytes on the wire are those of a ring
// all-reduce: 2 (W - 1) / W times the size. A tensor of a GPU stays there where the communicator
// has a road from GPU to GPU for it, and takes half its size beside it; it passes through the CPU
// otherwise. Errors: those of Communicator.
void reduce_over_ranks(at::Tensor& flat, Communicator& communicator);

}  // namespace reprise::engine
