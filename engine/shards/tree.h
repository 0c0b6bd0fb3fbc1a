// The fixed binary tree in which everything is summed.
#pragma once

#include <cstdint>
#include <span>

namespace reprise::engine {

// An even number of leaves is cut in halves, an odd one after its largest power of two; a
// node is left + right. For a power of two that is pairwise, adjacent first. Any run of
// n / W leaves (W a power of two dividing n, aligned) is a subtree, so processes can own subtrees.
// How many leaves the left half of `leaves` (>= 2) has.
constexpr std::uint64_t left_leaves(std::uint64_t leaves) {
  if (leaves % 2 == 0) return leaves / 2;
  std::uint64_t power = 1;
  while (power * 2 < leaves) power *= 2;
  return power;
}

// The sum of numbers in that tree. NaN for none is not: an empty sum is 0.
double tree_sum(std::span<const double> values);

}  // namespace reprise::engine
