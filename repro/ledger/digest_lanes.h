// The arithmetic of the tensor digest, shared word for word by the CPU and the GPU.
// Defined in docs/ledger-format.md. DO NOT CHANGE ANY CONSTANT: ledgers hold its results.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define REPRISE_HOST_DEVICE __host__ __device__
#else
#define REPRISE_HOST_DEVICE
#endif

namespace reprise::ledger {

inline constexpr std::uint64_t kLeafBytes = 64 * 1024;
inline constexpr int kLanes = 8;  // of 64 bits; word i of a leaf belongs to lane i % 8
inline constexpr std::uint64_t kLeafWords = kLeafBytes / 8;

// What a lane's key grows by from one stripe (8 words) to the next: the golden
// ratio in 64 bits, odd, so that no two stripes of a leaf share a key.
inline constexpr std::uint64_t kKeyStep = 0x9E3779B97F4A7C15u;

// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection of 64 bits in
// which every input bit reaches every output bit.
REPRISE_HOST_DEVICE constexpr std::uint64_t mix64(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

// The key of a lane in a leaf's first stripe.
REPRISE_HOST_DEVICE constexpr std::uint64_t lane_key(int lane) {
  return mix64((static_cast<std::uint64_t>(lane) + 1) * kKeyStep);
}

// What one word adds to its own lane. Depends on the position through `key`: equal
// words in other places add other numbers. To the neighbour lane (lane ^ 1) the
// word itself is added, so that no word can vanish in a product with zero.
REPRISE_HOST_DEVICE constexpr std::uint64_t keyed_product(std::uint64_t word, std::uint64_t key) {
  const std::uint64_t v = word ^ key;
  return (v & 0xFFFFFFFFu) * (v >> 32);
}

// 128 bits, the value of a leaf or of a node above leaves.
struct Node {
  std::uint64_t a = 0;
  std::uint64_t b = 0;
};

// The value of a leaf from the sums of its eight lanes.
REPRISE_HOST_DEVICE constexpr Node leaf_node(const std::uint64_t (&lanes)[kLanes]) {
  Node node{0x243F6A8885A308D3u, 0x13198A2E03707344u};  // pi
  for (int lane = 0; lane < kLanes; ++lane) {
    node.a = mix64(node.a ^ lanes[lane]);
    node.b = mix64(node.b + lanes[lane]);
  }
  return node;
}

// Joins two neighbours; the order matters.
REPRISE_HOST_DEVICE constexpr Node join(const Node& left, const Node& right) {
  const std::uint64_t a = mix64(mix64(left.a + 0xA4093822299F31D0u) ^ right.a);
  const std::uint64_t b = mix64(mix64(left.b + 0x082EFA98EC4E6C89u) ^ right.b);
  return {a + mix64(b), b ^ mix64(a)};
}

}  // namespace reprise::ledger
