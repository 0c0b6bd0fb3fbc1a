#include "tests/engine/watched_device/device_memory.h"

#include "tests/engine/watched_device/streams.h"
#include "tests/engine/watched_device/watched_device.h"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <tuple>
#include <vector>

namespace reprise::engine {
namespace {

// One file of memory, mapped twice: where tensors believe to lie, nobody may touch it; kernels
// reach it by the other way.
class DeviceMemory {
 public:
  static DeviceMemory& instance() {
    static auto* const kMemory = new DeviceMemory;
    return *kMemory;
  }

  std::byte* take(std::size_t size) {
    const std::lock_guard lock(mutex_);
    // Cache lines apart, as cudaMalloc does it.
    const std::size_t place = (used_ + kStep - 1) / kStep * kStep;
    if (place + size > kSize) throw std::runtime_error("the watched device is full");
    used_ = place + size;
    return closed_ + place;
  }
  std::byte* opened(const void* address) const {
    return open_ + (static_cast<const std::byte*>(address) - closed_);
  }

 private:
  static constexpr std::size_t kSize = std::size_t{8} << 30;  // of addresses: pages come when used
  static constexpr std::size_t kStep = 512;

  DeviceMemory() {
    const int file = ::memfd_create("watched_device", MFD_CLOEXEC);
    if (file < 0 || ::ftruncate(file, static_cast<off_t>(kSize)) != 0) {
      throw std::runtime_error("no memory for the watched device");
    }
    const auto map = [&](int protection) {
      void* address = ::mmap(nullptr, kSize, protection, MAP_SHARED | MAP_NORESERVE, file, 0);
      if (address == MAP_FAILED) throw std::runtime_error("the watched device cannot be mapped");
      return static_cast<std::byte*>(address);
    };
    closed_ = map(PROT_NONE);
    open_ = map(PROT_READ | PROT_WRITE);
    ::close(file);
  }

  std::byte* closed_ = nullptr;
  std::byte* open_ = nullptr;
  std::mutex mutex_;
  std::size_t used_ = 0;
};

class DeviceAllocator final : public c10::DeviceAllocator {
 public:
  static DeviceAllocator& instance() {
    static auto* const kAllocator = new DeviceAllocator;
    return *kAllocator;
  }

  c10::DataPtr allocate(std::size_t size) override {
    const c10::Device device = watched_guard().getDevice();
    if (size == 0) return {nullptr, nullptr, &forget, device};
    std::size_t rounded = 512;
    while (rounded < size) rounded *= 2;
    const c10::Stream stream = stream_of(device);
    auto block = std::make_unique<Block>(Block{nullptr, rounded, stream});
    std::size_t allocated = 0;
    {
      const std::lock_guard lock(mutex_);
      std::vector<std::byte*>& free = free_[{stream.device_index(), stream.id(), rounded}];
      if (!free.empty()) {
        block->address = free.back();
        free.pop_back();
      }
      c10::CachingAllocator::Stat& stat = allocated_[static_cast<std::size_t>(device.index())];
      stat.increase(rounded);
      allocated = static_cast<std::size_t>(stat.current);
    }
    if (block->address == nullptr) block->address = DeviceMemory::instance().take(rounded);
    std::byte* address = block->address;
    report(*block, static_cast<std::int64_t>(rounded), allocated);
    return {address, block.release(), &give_back, device};
  }
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void* to, const void* from, std::size_t size) const override {
    const DeviceMemory& memory = DeviceMemory::instance();
    std::memcpy(memory.opened(to), memory.opened(from), size);
  }
  bool initialized() override { return true; }
  void emptyCache(c10::MempoolId_t /*pool*/) override {}
  void recordStream(const c10::DataPtr& /*data*/, c10::Stream /*stream*/) override {}
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex device) override {
    const std::lock_guard lock(mutex_);
    c10::CachingDeviceAllocator::DeviceStats stats;
    stats.allocated_bytes[0] = allocated_[static_cast<std::size_t>(device)];
    return stats;
  }
  void resetAccumulatedStats(c10::DeviceIndex /*device*/) override {}
  void resetPeakStats(c10::DeviceIndex /*device*/) override {}

 private:
  struct Block {
    std::byte* address;
    std::size_t size;
    c10::Stream stream;
  };

  static void report(const Block& block, std::int64_t bytes, std::size_t allocated) {
    c10::reportMemoryUsageToProfiler(block.address, bytes, allocated, allocated,
                                     block.stream.device());
  }
  static void forget(void* /*nothing*/) {}
  static void give_back(void* context) {
    const std::unique_ptr<Block> block(static_cast<Block*>(context));
    DeviceAllocator& self = instance();
    const std::lock_guard lock(self.mutex_);
    c10::CachingAllocator::Stat& stat =
        self.allocated_[static_cast<std::size_t>(block->stream.device_index())];
    stat.decrease(block->size);
    report(*block, -static_cast<std::int64_t>(block->size), static_cast<std::size_t>(stat.current));
    self.free_[{block->stream.device_index(), block->stream.id(), block->size}].push_back(
        block->address);
  }

  std::mutex mutex_;
  std::map<std::tuple<c10::DeviceIndex, c10::StreamId, std::size_t>, std::vector<std::byte*>> free_;
  std::array<c10::CachingAllocator::Stat, kWatchedDevices> allocated_{};
};

}  // namespace

std::byte* opened(const void* address) { return DeviceMemory::instance().opened(address); }

c10::DeviceAllocator& device_allocator() { return DeviceAllocator::instance(); }

std::uint64_t peak_bytes() {
  return static_cast<std::uint64_t>(
      DeviceAllocator::instance().getDeviceStats(0).allocated_bytes[0].peak);
}

}  // namespace reprise::engine
