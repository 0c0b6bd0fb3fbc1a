// What the tensors of this process take, and what for: --memory-report.
#pragma once

#include <c10/core/Device.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace reprise::engine {

// What memory is taken for, by the code that takes it.
enum class MemoryPart : std::uint8_t {
  kOther,        // of evaluation, loading and saving
  kWeights,      // and buffers, and the moving average
  kOptimizer,    // momentum and the like
  kActivations,  // what a forward pass makes and keeps for the way back
  kBackward,     // what the way back makes: a leaf's gradients among it
  kGradients,    // sums of leaves
};
inline constexpr std::size_t kMemoryParts = 6;
std::string_view to_string(MemoryPart part);

// Bytes by part; a value.
struct MemoryUse {
  std::array<std::uint64_t, kMemoryParts> parts{};
  std::uint64_t total = 0;
  std::uint64_t of(MemoryPart part) const { return parts[static_cast<std::size_t>(part)]; }
};

// While it lives, what this thread allocates counts as `part`. Costs two thread-local writes.
class MemoryScope {
 public:
  explicit MemoryScope(MemoryPart part);
  ~MemoryScope();
  MemoryScope(const MemoryScope&) = delete;
  MemoryScope& operator=(const MemoryScope&) = delete;

 private:
  MemoryPart before_;
};

// Counts every tensor allocated on `device` from here on. Once, before the first tensor that is to
// be counted. On the CPU in all threads: what libraries take past LibTorch's allocator (oneDNN's
// scratch memory) is not seen; a header of 64 bytes and a lock an allocation. On a GPU the total is
// its allocator's; the parts are those of this thread, of those LibTorch goes back in for it, and
// of those that call join_memory_count(), and what others take is kOther: whole blocks, a lock
// each.
void count_memory(c10::Device device = c10::kCPU);

// For a further thread that gives work to a GPU; nothing where nothing is counted.
void join_memory_count();

// The moment since the counting began at which most was taken.
MemoryUse memory_peak();
// The most that each part took, at whatever moment; `total` is that of memory_peak().
MemoryUse memory_highest();

}  // namespace reprise::engine
