// Sums of blocks by what they were taken for, and the most they came to.
#pragma once

#include "engine/device/memory.h"

#include <cstdint>
#include <mutex>

namespace reprise::engine {

// Safe from all threads.
class MemoryCount {
 public:
  void add(std::uint64_t bytes, MemoryPart part);
  // What add() was told.
  void remove(std::uint64_t bytes, MemoryPart part);
  MemoryUse peak();
  MemoryUse highest();

 private:
  std::mutex mutex_;
  MemoryUse now_, peak_, highest_;
};

// The one of this process. Never destroyed: tensors of static lifetime are freed after everything
// else.
MemoryCount& memory_count();

// The part of the MemoryScope that this thread is in.
MemoryPart memory_part();

// Counts what LibTorch's allocator of a GPU hands out to this thread, to those that LibTorch goes
// back in for it, and to those that call join_memory_count().
void count_device_memory();

}  // namespace reprise::engine
