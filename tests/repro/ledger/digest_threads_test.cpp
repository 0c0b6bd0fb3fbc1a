// The arithmetic of the CUDA kernel, from the kernel's own source, on a CPU: threads of a block one
// after the other, their sums joined as warps and atomics do.
#include "repro/ledger/digest_threads.h"

#include "repro/ledger/tensor_digest.h"

#include <gtest/gtest.h>

#include <random>

namespace reprise::ledger {
namespace {

Node block_node(Bytes leaf, bool aligned, std::uint32_t threads, bool backwards) {
  const auto* data = reinterpret_cast<const unsigned char*>(leaf.data());
  std::uint64_t lanes[kLanes] = {};
  for (std::uint32_t i = 0; i < threads; ++i) {
    const std::uint32_t thread = backwards ? threads - 1 - i : i;
    const ThreadSums sums = sum_words(data, leaf.size(), aligned, thread, threads);
    lanes[thread % kLanes] += sums.products;
    lanes[thread % kLanes ^ 1] += sums.words;
  }
  return leaf_node(lanes);
}

TEST(DigestThreads, AnyBlockGivesTheNodeOfTheCpu) {
  std::mt19937_64 random(3);
  alignas(8) std::array<std::byte, kLeafBytes + 8> memory{};
  for (std::byte& byte : memory) byte = static_cast<std::byte>(random());
  for (const std::size_t size :
       {1u, 7u, 8u, 9u, 63u, 64u, 65u, 127u, 1000u, 65528u, 65535u, 65536u}) {
    for (const std::size_t offset : {0u, 1u}) {
      const Bytes leaf = Bytes(memory).subspan(offset, size);
      const Node expected = digest_leaf(leaf, LaneKernel::kPortable);
      for (const std::uint32_t threads : {8u, 32u, 256u, 1024u}) {
        const Node found = block_node(leaf, offset == 0, threads, threads == 32);
        EXPECT_EQ(found.a, expected.a) << size << " bytes, " << threads << " threads";
        EXPECT_EQ(found.b, expected.b) << size << " bytes, " << threads << " threads";
      }
    }
  }
}

}  // namespace
}  // namespace reprise::ledger
