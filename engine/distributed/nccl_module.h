// What the module with NCCL in it has for the programs: the one part that links LibTorch's CUDA
// library, so that programs start without it.
#pragma once

#include "engine/distributed/device_exchange.h"

#include <torch/csrc/distributed/c10d/Store.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace reprise::engine {

// How a process joins the others.
struct NcclPlace {
  c10::intrusive_ptr<c10d::Store> store;
  int rank = 0;
  int world = 1;
  c10::Device device;
  std::chrono::milliseconds silence_timeout{0};
  // Called several times a second while that rank is waited for: throws when it will not come.
  std::function<void(int partner)> refuse_if_lost;
};

// Both throw std::exception with a reason for people, of which the first line counts: for a GPU
// that is not there and whatever CUDA and NCCL refuse.
class NcclModule {
 public:
  virtual ~NcclModule() = default;
  // Which card it is among those of this machine, the same for every process that sees it.
  virtual std::string address_of(c10::Device device) const = 0;
  // Every rank calls it at once, each with a card of its own.
  virtual std::unique_ptr<DeviceExchange> join(const NcclPlace& place) const = 0;
};

// The function of the module that gives it: `const NcclModule* reprise_nccl_module()`.
inline constexpr const char* kNcclModuleFunction = "reprise_nccl_module";

// Loads the module that lies beside the running program, once; it stays. Takes seconds where
// LibTorch's CUDA part is not loaded yet. Errors: kUnsupported where this build has none or it
// cannot be loaded.
const NcclModule& nccl_module();

}  // namespace reprise::engine
