// The fixed binary tree in which everything is summed.
#pragma once

#include <cstdint>
#include <span>

namespace reprise::engine {

// How many of `leaves` (>= 2) are below the left child. An even number is cut in halves, an odd
// one after the largest power of two below it; a node is left + right. For a power of two
// that is pairwise, adjacent first. Every aligned run of leaves / W leaves (W a power of two
// that divides their number) is a subtree: a process owns one and sums it without the others.
// DO NOT CHANGE: the bits of every run are sums in this order.
constexpr std::uint64_t left_leaves(std::uint64_t leaves) {
  if (leaves % 2 == 0) return leaves / 2;
  std::uint64_t power = 1;
  while (power * 2 < leaves) power *= 2;
  return power;
}

// The sum of numbers in that tree; 0 for none.
double tree_sum(std::span<const double> values);

}  // namespace reprise::engine
