#include "engine/device/memory.h"

#include "engine/device/memory_count.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>

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
    memory_count().add(bytes, current_part);
    std::byte* data = base + kHeader;
    return {data, data, &free_block, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_block; }
  void copy_data(void* target, const void* source, std::size_t count) const override {
    default_copy_data(target, source, count);
  }

 private:
  static void free_block(void* data);
};

// Never destroyed: tensors of static lifetime are freed after everything else.
CountingAllocator& allocator() {
  static auto* const kAllocator = new CountingAllocator;
  return *kAllocator;
}

void CountingAllocator::free_block(void* data) {
  if (data == nullptr) return;
  std::byte* base = static_cast<std::byte*>(data) - kHeader;
  const auto& header = *reinterpret_cast<const Header*>(base);
  memory_count().remove(header.bytes, header.part);
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

MemoryPart memory_part() { return current_part; }

void count_memory(c10::Device device) {
  if (device.is_cpu()) {
    c10::SetCPUAllocator(&allocator(), /*priority=*/200);
  } else {
    count_device_memory();
  }
}

MemoryUse memory_peak() { return memory_count().peak(); }
MemoryUse memory_highest() { return memory_count().highest(); }

}  // namespace reprise::engine
