// Whether the GPUs of a run's processes can exchange tensors with each other, and if not, why.
#pragma once

#include "engine/distributed/communicator.h"
#include "engine/distributed/nccl_module.h"

#include <functional>
#include <memory>
#include <string>

namespace reprise::engine {

// How tensors of GPUs go between processes.
struct DeviceRoad {
  std::unique_ptr<DeviceExchange> exchange;  // null: by way of the CPU
  std::string obstacle;  // why not directly, for people; empty where it is, or without any GPU
};

// Every rank calls it with its own place, and all get the same road: NCCL's where each has a GPU
// that no other rank of its machine has, and joining works on all; the CPU's otherwise, which has
// the same bits. `module` is asked on ranks with a GPU alone. Errors: those of Communicator.
DeviceRoad join_devices(Communicator& communicator, const NcclPlace& place,
                        const std::function<const NcclModule&()>& module);

}  // namespace reprise::engine
