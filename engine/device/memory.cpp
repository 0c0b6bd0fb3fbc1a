#include "engine/device/memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>

#include <algorithm>
#include <mutex>

namespace reprise::engine {
namespace {

thread_local MemoryPart current_part = MemoryPart::kOther;

// Stands before each block, so that a block knows what it is when it is freed, in any thread.
constexpr std::size_t kHeader = 64;
struct Header {
  std::size_t bytes;
  MemoryPart part;
};

class CountingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    auto* base = static_cast<std::byte*>(c10::alloc_cpu(bytes + kHeader));
    new (base) Header{bytes, current_part};
    count(bytes, current_part);
    std::byte* data = base + kHeader;
    return {data, data, &free_block, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_block; }
  void copy_data(void* target, const void* source, std::size_t count) const override {
    default_copy_data(target, source, count);
  }

  MemoryUse peak() {
    const std::lock_guard lock(mutex_);
    return peak_;
  }
  MemoryUse highest() {
    const std::lock_guard lock(mutex_);
    return highest_;
  }

 private:
  static void free_block(void* data);

  void count(std::size_t bytes, MemoryPart part) {
    const std::lock_guard lock(mutex_);
    now_.parts[static_cast<std::size_t>(part)] += bytes;
    now_.total += bytes;
    if (now_.total > peak_.total) peak_ = now_;
    const auto index = static_cast<std::size_t>(part);
    highest_.parts[index] = std::max(highest_.parts[index], now_.parts[index]);
    highest_.total = peak_.total;
  }
  void uncount(const Header& header) {
    const std::lock_guard lock(mutex_);
    now_.parts[static_cast<std::size_t>(header.part)] -= header.bytes;
    now_.total -= header.bytes;
  }

  std::mutex mutex_;
  MemoryUse now_, peak_, highest_;
};

// Never destroyed: tensors of static lifetime are freed after everything else.
CountingAllocator& counter() {
  static auto* const kCounter = new CountingAllocator;
  return *kCounter;
}

void CountingAllocator::free_block(void* data) {
  if (data == nullptr) return;
  std::byte* base = static_cast<std::byte*>(data) - kHeader;
  counter().uncount(*reinterpret_cast<const Header*>(base));
  c10::free_cpu(base);
}

}  // namespace

std::string_view to_string(MemoryPart part) {
  switch (part) {
    case MemoryPart::kWeights: return "weights";
    case MemoryPart::kOptimizer: return "optimizer";
    case MemoryPart::kActivations: return "activations";
    case MemoryPart::kBackward: return "backward";
    case MemoryPart::kGradients: return "gradients";
    default: return "other";
  }
}

MemoryScope::MemoryScope(MemoryPart part) : before_(current_part) { current_part = part; }
MemoryScope::~MemoryScope() { current_part = before_; }

void count_memory() { c10::SetCPUAllocator(&counter(), /*priority=*/200); }

MemoryUse memory_peak() { return counter().peak(); }
MemoryUse memory_highest() { return counter().highest(); }

}  // namespace reprise::engine
