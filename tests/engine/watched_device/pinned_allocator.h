// Host memory that the watched device may copy from on its own.
#pragma once

#include <c10/core/Allocator.h>

namespace reprise::engine {

// Lives as long as the process; safe from all threads.
c10::Allocator& pinned_allocator();

}  // namespace reprise::engine
