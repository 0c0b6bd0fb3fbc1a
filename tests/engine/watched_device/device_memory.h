// The watched device's memory: where its tensors believe to lie, nobody may touch it.
#pragma once

#include <c10/core/CachingDeviceAllocator.h>

#include <cstddef>

namespace reprise::engine {

// The way by which kernels reach an address of the device.
std::byte* opened(const void* address);

// As CUDA's caching allocator: what is given back goes to whoever asks on the same stream next,
// without waiting for anybody. Lives as long as the process; safe from all threads.
c10::DeviceAllocator& device_allocator();

}  // namespace reprise::engine
