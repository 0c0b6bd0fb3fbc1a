// Host memory that a GPU copies from on its own, while the host goes on.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstddef>
#include <functional>
#include <span>

namespace reprise::engine {

// Gives memory for so many floats, aligned to 64 bytes, which lives as long as the function or a
// copy of it does. What a Loader takes as LoaderOptions::allocate.
using FloatMemory = std::function<std::span<float>(std::size_t floats)>;

// Pinned memory for `device`; null for the CPU, which has no use for it. Such memory is taken from
// what the system can page out, all at once: milliseconds a hundred megabytes.
// Errors of the function: kIo when the system has none to give.
FloatMemory pinned_memory(c10::Device device);

// Memory of the host, uninitialised, for what is to go to `device` by .to(device,
// /*non_blocking=*/true): pinned, so that the host goes on at once; LibTorch's allocator keeps it
// until the device has copied it, also when the tensor is gone. For the CPU, and where the system
// has no pinned memory to give, any memory: for that one the host waits.
at::Tensor staging_tensor(at::IntArrayRef shape, at::ScalarType type, c10::Device device);

// A copy of a tensor of the host on `device`, by such memory; on the CPU the tensor itself.
at::Tensor sent_to(c10::Device device, const at::Tensor& host);

}  // namespace reprise::engine
