// Host memory that a GPU copies from on its own, while the host goes on.
#pragma once

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

}  // namespace reprise::engine
