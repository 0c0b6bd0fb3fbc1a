#include "engine/device/memory_count.h"

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace reprise::engine {
namespace {

struct Block {
  std::uint64_t bytes = 0;
  MemoryPart part = MemoryPart::kOther;
};

// True in threads that were asked to count; the others that do are LibTorch's for the way back.
thread_local bool joined = false;

// What LibTorch tells its profiler of memory, the allocators of GPUs do for every block.
class Reporter : public c10::MemoryReportingInfoBase {
 public:
  bool memoryProfilingEnabled() const override { return true; }

  // `allocated` is the allocator's own count, of all threads.
  void reportMemoryUsage(void* address, std::int64_t bytes, std::size_t allocated,
                         std::size_t /*reserved*/, c10::Device device) override {
    if (device.is_cpu()) return;
    const std::lock_guard lock(mutex_);
    // Also where it was freed unseen: LibTorch's threads drop a node of the graph after they have
    // left the scope in which they report.
    if (const auto known = blocks_.extract(address); !known.empty()) {
      memory_count().remove(known.mapped().bytes, known.mapped().part, allocated);
    }
    if (bytes <= 0) return;
    MemoryPart part = memory_part();
    if (part == MemoryPart::kOther && !joined) part = MemoryPart::kBackward;
    const Block block{static_cast<std::uint64_t>(bytes), part};
    blocks_.emplace(address, block);
    memory_count().add(block.bytes, block.part, allocated);
  }

 private:
  std::mutex mutex_;
  std::unordered_map<void*, Block> blocks_;
};

std::atomic<bool> counting = false;

const std::shared_ptr<Reporter>& reporter() {
  static const auto kReporter = std::make_shared<Reporter>();
  return kReporter;
}

}  // namespace

void count_device_memory() {
  counting = true;
  join_memory_count();
}

void join_memory_count() {
  if (!counting || joined) return;
  joined = true;
  // To the end of the thread.
  c10::ThreadLocalDebugInfo::_push(c10::DebugInfoKind::PROFILER_STATE, reporter());
}

}  // namespace reprise::engine
