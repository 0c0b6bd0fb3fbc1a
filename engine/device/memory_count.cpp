#include "engine/device/memory_count.h"

#include <algorithm>

namespace reprise::engine {

void MemoryCount::add(std::uint64_t bytes, MemoryPart part) {
  const std::lock_guard lock(mutex_);
  const auto index = static_cast<std::size_t>(part);
  now_.parts[index] += bytes;
  now_.total += bytes;
  if (now_.total > peak_.total) peak_ = now_;
  highest_.parts[index] = std::max(highest_.parts[index], now_.parts[index]);
  highest_.total = peak_.total;
}

void MemoryCount::remove(std::uint64_t bytes, MemoryPart part) {
  const std::lock_guard lock(mutex_);
  now_.parts[static_cast<std::size_t>(part)] -= bytes;
  now_.total -= bytes;
}

MemoryUse MemoryCount::peak() {
  const std::lock_guard lock(mutex_);
  return peak_;
}

MemoryUse MemoryCount::highest() {
  const std::lock_guard lock(mutex_);
  return highest_;
}

MemoryCount& memory_count() {
  static auto* const kCount = new MemoryCount;
  return *kCount;
}

}  // namespace reprise::engine
