// Two ranks of a run as threads of this process, each with a watched device of its own.
#pragma once

#include "engine/distributed/communicator.h"

#include <c10/core/Device.h>

#include <functional>

namespace reprise::engine {

// How tensors of the devices go between the ranks.
enum class Road {
  kDevices,  // from device to device, in a stream of its own, as NCCL does it
  kHost,     // by way of the CPU
};

// Runs `work` once a rank, at the same time. Errors: the first that a rank throws; the other one
// gets an error where it next waits for it.
void run_two_ranks(Road road,
                   const std::function<void(Communicator& communicator, c10::Device device)>& work);

}  // namespace reprise::engine
