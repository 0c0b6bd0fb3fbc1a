#include "tests/engine/watched_device/pinned_allocator.h"

#include "tests/engine/watched_device/failures.h"
#include "tests/engine/watched_device/stream_watch.h"
#include "tests/engine/watched_device/watched_device.h"

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <mutex>

namespace reprise::engine {
namespace {

class PinnedAllocator final : public c10::Allocator {
 public:
  static PinnedAllocator& instance() {
    static auto* const kAllocator = new PinnedAllocator;
    return *kAllocator;
  }
  c10::DataPtr allocate(std::size_t size) override {
    fail_if_told(Failing::kPinnedMemory);
    void* memory = std::aligned_alloc(64, (size + 63) / 64 * 64 + 64);
    const std::lock_guard lock(mutex_);
    ranges_[static_cast<const std::byte*>(memory)] = size;
    return {memory, memory, &give_back, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }
  void copy_data(void* to, const void* from, std::size_t size) const override {
    std::memcpy(to, from, size);
  }
  bool owns(const void* address) {
    const std::lock_guard lock(mutex_);
    const auto* byte = static_cast<const std::byte*>(address);
    auto after = ranges_.upper_bound(byte);
    return after != ranges_.begin() && byte < std::prev(after)->first + std::prev(after)->second;
  }

 private:
  static void give_back(void* memory) {
    PinnedAllocator& self = instance();
    const auto* first = static_cast<const std::byte*>(memory);
    const std::lock_guard lock(self.mutex_);
    // As CUDA's, which hands it out again when the device has it.
    watch().keep_for_copies(first, self.ranges_.at(first));
    self.ranges_.erase(first);
    std::free(memory);
  }

  std::mutex mutex_;
  std::map<const std::byte*, std::size_t> ranges_;
};

}  // namespace

c10::Allocator& pinned_allocator() { return PinnedAllocator::instance(); }

bool is_pinned(const void* memory) { return PinnedAllocator::instance().owns(memory); }

}  // namespace reprise::engine
