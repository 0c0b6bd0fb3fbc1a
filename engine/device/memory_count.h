// Sums of blocks by what they were taken for, and the most they came to.
#pragma once

#include "engine/device/memory.h"

#include <cstdint>
#include <mutex>
#include <optional>

namespace reprise::engine {

// Safe from all threads. `total`, where an allocator tells it, is what it has handed out after the
// call; without it all calls are taken to be known.
class MemoryCount {
 public:
  void add(std::uint64_t bytes, MemoryPart part, std::optional<std::uint64_t> total = {});
  // What add() was told.
  void remove(std::uint64_t bytes, MemoryPart part, std::optional<std::uint64_t> total = {});
  MemoryUse peak();
  MemoryUse highest();

 private:
  MemoryUse settled() const;

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
