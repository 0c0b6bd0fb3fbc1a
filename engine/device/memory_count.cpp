#include "engine/device/memory_count.h"

#include <algorithm>
#include <numeric>

namespace reprise::engine {

void MemoryCount::add(std::uint64_t bytes, MemoryPart part, std::optional<std::uint64_t> total) {
  const std::lock_guard lock(mutex_);
  now_.parts[static_cast<std::size_t>(part)] += bytes;
  now_.total = total.value_or(now_.total + bytes);
  const MemoryUse use = settled();
  if (use.total > peak_.total) peak_ = use;
  for (std::size_t i = 0; i < kMemoryParts; ++i) {
    highest_.parts[i] = std::max(highest_.parts[i], use.parts[i]);
  }
  highest_.total = peak_.total;
}

void MemoryCount::remove(std::uint64_t bytes, MemoryPart part, std::optional<std::uint64_t> total) {
  const std::lock_guard lock(mutex_);
  now_.parts[static_cast<std::size_t>(part)] -= bytes;
  now_.total = total.value_or(now_.total - bytes);
}

// The parts of now_, such that they come to its total. Blocks that were freed unseen are nodes of
// the graph that LibTorch drops after their turn: they held activations, then gradients.
MemoryUse MemoryCount::settled() const {
  MemoryUse use = now_;
  const std::uint64_t known = std::accumulate(use.parts.begin(), use.parts.end(), std::uint64_t{0});
  if (known < use.total) {
    use.parts[static_cast<std::size_t>(MemoryPart::kOther)] += use.total - known;
  }
  std::uint64_t gone = known > use.total ? known - use.total : 0;
  for (const MemoryPart part :
       {MemoryPart::kActivations, MemoryPart::kBackward, MemoryPart::kGradients, MemoryPart::kOther,
        MemoryPart::kOptimizer, MemoryPart::kWeights}) {
    std::uint64_t& bytes = use.parts[static_cast<std::size_t>(part)];
    const std::uint64_t less = std::min(bytes, gone);
    bytes -= less;
    gone -= less;
  }
  return use;
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
