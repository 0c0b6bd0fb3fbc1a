// Cases of world_main about tensors that go from GPU to GPU. Each returns an exit code, 0 for
// success, after saying what is wrong.
#pragma once

#include "engine/distributed/communicator.h"
#include "engine/distributed/place.h"

namespace reprise::engine {

// Sums over ranks by a DeviceExchange have the bits of the road through the CPU and of the tree.
int compare_roads(Communicator& communicator, const ProcessPlace& place);
// Every rank settles on the same road, whichever of them cannot go by the other.
int settle_on_roads(Communicator& communicator, const ProcessPlace& place);
// Sums over the GPUs of this machine, one a rank, by NCCL. `communicator` was made for them.
int sum_on_gpus(Communicator& communicator, c10::Device device);

}  // namespace reprise::engine
