// Joins the processes of a run: over c10d's Gloo, through memory on one machine, and their GPUs
// over c10d's NCCL.
#pragma once

#include "engine/distributed/communicator.h"
#include "engine/distributed/place.h"

#include <c10/core/Device.h>

#include <chrono>
#include <memory>

namespace reprise::engine {

struct ConnectOptions {
  // How long to wait for ranks that have not come yet, and for a silent one later.
  std::chrono::seconds join_timeout{120};
  std::chrono::seconds silence_timeout{600};
  // Whether ranks of one machine exchange through memory instead of the network; the bits are the
  // same. Where memory cannot be shared (other containers, other users) it is the network.
  bool share_memory = true;
  // Where this process's tensors are. See join_devices() for what follows from it.
  c10::Device device = c10::kCPU;
};

// Meets the other ranks at `place` and connects to them; single_process() when there are none.
// When a rank dies its connections close, and every call of the others ends within seconds.
// Errors: kIo naming the ranks that did not come; a port in use; an address that does not answer.
std::unique_ptr<Communicator> connect(const ProcessPlace& place,
                                      const ConnectOptions& options = {});

}  // namespace reprise::engine
