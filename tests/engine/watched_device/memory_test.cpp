// What is counted of a device's memory where threads take part that do not report.
#include "engine/device/memory.h"

#include "tests/engine/watched_device/watched_device.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <numeric>
#include <optional>
#include <thread>

namespace reprise::engine {
namespace {

constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20;

at::Tensor mebibytes(std::int64_t count) {
  return at::empty({count << 20}, at::TensorOptions(at::kByte).device(watched_device()));
}

std::uint64_t sum(const MemoryUse& use) {
  return std::accumulate(use.parts.begin(), use.parts.end(), std::uint64_t{0});
}

// The only test of its process: the allocator counts from its start.
TEST(MemoryOfADevice, IsTheAllocatorsAlsoAfterThreadsThatDoNotReport) {
  count_memory(watched_device());
  std::optional<at::Tensor> kept;
  {
    const MemoryScope forward(MemoryPart::kActivations);
    kept = mebibytes(32);
  }
  EXPECT_EQ(memory_peak().total, peak_bytes());
  EXPECT_EQ(memory_peak().of(MemoryPart::kActivations), 32 * kMebibyte);
  std::thread([&] { kept.reset(); }).join();
  // Of another size, so that its place is not that of what went.
  const MemoryScope backward(MemoryPart::kBackward);
  const at::Tensor after = mebibytes(64);
  EXPECT_EQ(memory_peak().total, 64 * kMebibyte);
  EXPECT_EQ(memory_peak().total, peak_bytes());
  EXPECT_EQ(memory_peak().of(MemoryPart::kBackward), 64 * kMebibyte);
  EXPECT_EQ(memory_peak().of(MemoryPart::kActivations), 0);

  at::Tensor unseen;
  std::thread([&] { unseen = mebibytes(16); }).join();
  const at::Tensor seen = mebibytes(8);
  EXPECT_EQ(memory_peak().total, 88 * kMebibyte);
  EXPECT_EQ(memory_peak().total, peak_bytes());
  EXPECT_EQ(memory_peak().of(MemoryPart::kBackward), 72 * kMebibyte);
  EXPECT_EQ(sum(memory_peak()), memory_peak().total);
}

}  // namespace
}  // namespace reprise::engine
