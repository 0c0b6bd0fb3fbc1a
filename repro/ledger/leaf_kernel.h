// The CUDA side of the tensor digest. Plain types: nvcc does not take all of our headers.
#pragma once

#include "repro/ledger/digest_lanes.h"

#include <cstdint>

namespace reprise::ledger {

// The nodes of the leaves of `bytes` bytes at the device address `data`, in order, into `nodes` in
// host memory: one for each kLeafBytes. Waits for the default stream. Returns what CUDA says went
// wrong, or nullptr.
const char* leaf_nodes_on_cuda(const void* data, std::uint64_t bytes, Node* nodes);

// Devices that CUDA can use; 0 without a driver.
int cuda_devices();

}  // namespace reprise::ledger
