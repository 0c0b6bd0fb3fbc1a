// The module. NCCL, like all of CUDA, is included here alone.
#include "engine/distributed/nccl_module.h"

#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAFunctions.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include <cstdlib>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace reprise::engine {
namespace {

using Clock = std::chrono::steady_clock;

// Moving a few megabytes takes less than that; waiting for a rank that still computes, more.
constexpr std::chrono::microseconds kBusy{200};
constexpr std::chrono::microseconds kNap{50};
constexpr std::chrono::milliseconds kAskEvery{200};

void require_gpu(c10::Device device) {
  const int found = c10::cuda::device_count();
  if (device.is_cuda() && device.index() >= 0 && device.index() < found) return;
  throw std::runtime_error(c10::str("no GPU ", device, ": ", found, " found"));
}

class NcclExchange : public DeviceExchange {
 public:
  explicit NcclExchange(const NcclPlace& place) : place_(place) {
    // c10d's own threads would end the process on an error or a silent rank. They only look on:
    // exchange() finds both, and says which rank it was.
    ::setenv("TORCH_NCCL_ASYNC_ERROR_HANDLING", "0", 1);
    ::setenv("TORCH_NCCL_ENABLE_MONITORING", "0", 1);
    ::setenv("TORCH_NCCL_BLOCKING_WAIT", "0", 1);
    auto options = c10d::ProcessGroupNCCL::Options::create();
    options->timeout = place.silence_timeout;
    group_ = c10::make_intrusive<c10d::ProcessGroupNCCL>(
        c10::make_intrusive<c10d::PrefixStore>("nccl", place.store), place.rank, place.world,
        options);
    // One communicator for all, now, when errors are about joining and not about an update.
    group_->eagerConnectSingleDevice(place.device);
  }

  // What an exchange began has ended when it returned, and after an error there is no use in
  // waiting for it: nothing is lost by an abort.
  ~NcclExchange() override {
    try {
      group_->abort();
    } catch (...) {
      // The process ends its run either way.
    }
  }

  NcclExchange(const NcclExchange&) = delete;
  NcclExchange& operator=(const NcclExchange&) = delete;

  c10::Device device() const override { return place_.device; }

  void exchange(int partner, const at::Tensor& out, const at::Tensor& in) override {
    if (out.numel() == 0 && in.numel() == 0) return;
    std::vector<at::Tensor> sent{out};
    std::vector<at::Tensor> received{in};
    // In one group, so that two ranks that send to each other do not wait for each other.
    group_->startCoalescing();
    if (out.numel() > 0) group_->send(sent, partner, 0);
    if (in.numel() > 0) group_->recv(received, partner, 0);
    const c10::intrusive_ptr<c10d::Work> work = group_->endCoalescing();
    wait_for(*work, partner);
    // For whatever else this thread's stream is asked to do; returns at once.
    work->wait();
  }

 private:
  // A rank that is gone is no error to NCCL where the two share a machine.
  void wait_for(c10d::Work& work, int partner) const {
    const Clock::time_point began = Clock::now();
    Clock::time_point asked = began;
    while (!work.isCompleted()) {
      const Clock::time_point now = Clock::now();
      if (now - began > place_.silence_timeout) {
        throw std::runtime_error(c10::str(
            "no answer over NCCL within ",
            std::chrono::duration_cast<std::chrono::seconds>(place_.silence_timeout).count(),
            " s"));
      }
      if (now - asked > kAskEvery) {
        place_.refuse_if_lost(partner);
        asked = now;
      }
      if (now - began < kBusy) {
        std::this_thread::yield();
      } else {
        std::this_thread::sleep_for(kNap);
      }
    }
    if (const std::exception_ptr failure = work.exception()) std::rethrow_exception(failure);
  }

  NcclPlace place_;
  c10::intrusive_ptr<c10d::ProcessGroupNCCL> group_;
};

class Module : public NcclModule {
 public:
  std::string address_of(c10::Device device) const override {
    require_gpu(device);
    const cudaDeviceProp* card = at::cuda::getDeviceProperties(device.index());
    return c10::str(card->pciDomainID, ":", card->pciBusID, ":", card->pciDeviceID);
  }

  std::unique_ptr<DeviceExchange> join(const NcclPlace& place) const override {
    require_gpu(place.device);
    return std::make_unique<NcclExchange>(place);
  }
};

}  // namespace
}  // namespace reprise::engine

extern "C" __attribute__((visibility("default"))) const reprise::engine::NcclModule*
reprise_nccl_module() {
  static const reprise::engine::Module kModule;
  return &kModule;
}
