#include "engine/device/pinned_memory.h"

#include "ckpt/base/error.h"

#include <ATen/ATen.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace reprise::engine {

FloatMemory pinned_memory(c10::Device device) {
  if (device.is_cpu()) return nullptr;
  return [taken = std::make_shared<std::vector<at::Tensor>>()](std::size_t floats) {
    const auto options = at::TensorOptions(at::kFloat).pinned_memory(true);
    try {
      taken->push_back(at::empty({static_cast<std::int64_t>(floats)}, options));
    } catch (const std::exception& error) {
      fail(Code::kIo,
           "no {} bytes of pinned memory for a batch ({}); lower --prefetch or the batch",
           floats * sizeof(float), first_line(error));
    }
    return std::span(taken->back().mutable_data_ptr<float>(), floats);
  };
}

at::Tensor staging_tensor(at::IntArrayRef shape, at::ScalarType type, c10::Device device) {
  const at::TensorOptions options(type);
  if (!device.is_cpu()) {
    try {
      return at::empty(shape, options.pinned_memory(true));
    } catch (const c10::Error&) {
      // The road that is always open.
    }
  }
  return at::empty(shape, options);
}

at::Tensor sent_to(c10::Device device, const at::Tensor& host) {
  if (device.is_cpu()) return host;
  at::Tensor staging = staging_tensor(host.sizes(), host.scalar_type(), device);
  return staging.copy_(host).to(device, /*non_blocking=*/true);
}

}  // namespace reprise::engine
