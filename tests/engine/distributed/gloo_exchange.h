// An exchange of tensors between real processes by c10d, where there are no GPUs: over a group of
// its own, tensors in memory stand for those of a device.
#pragma once

#include "engine/distributed/device_exchange.h"

#include <torch/csrc/distributed/c10d/FileStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include <string>
#include <vector>

namespace reprise::engine {

class GlooExchange : public DeviceExchange {
 public:
  // The ranks meet in `file`, which c10d removes.
  GlooExchange(const std::string& file, int rank, int world) {
    auto options = c10d::ProcessGroupGloo::Options::create();
    options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1"));
    group_ = c10::make_intrusive<c10d::ProcessGroupGloo>(
        c10::make_intrusive<c10d::FileStore>(file, world), rank, world, options);
  }

  c10::Device device() const override { return c10::kCPU; }

  void exchange(int partner, const at::Tensor& out, const at::Tensor& in) override {
    std::vector<at::Tensor> sent{out};
    std::vector<at::Tensor> received{in};
    c10::intrusive_ptr<c10d::Work> sending, receiving;
    if (in.numel() > 0) receiving = group_->recv(received, partner, 0);
    if (out.numel() > 0) sending = group_->send(sent, partner, 0);
    if (sending) sending->wait();
    if (receiving) receiving->wait();
    ++exchanges;
  }

  int exchanges = 0;

 private:
  c10::intrusive_ptr<c10d::ProcessGroupGloo> group_;
};

}  // namespace reprise::engine
