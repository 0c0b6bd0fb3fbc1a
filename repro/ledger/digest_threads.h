// How the threads of a GPU block share the words of one leaf. Shared word for word by the kernel
// and by the test that runs it on a CPU.
#pragma once

#include "repro/ledger/digest_lanes.h"

namespace reprise::ledger {

// What one thread found. Its words all belong to lane `thread % kLanes`.
struct ThreadSums {
  std::uint64_t products = 0;  // for its own lane
  std::uint64_t words = 0;     // for the neighbour, lane ^ 1
};

// Word `index` of a leaf, little-endian, filled up with zeros where the leaf ends in it.
REPRISE_HOST_DEVICE inline std::uint64_t word_of(const unsigned char* leaf, std::uint64_t bytes,
                                                 std::uint64_t index) {
  std::uint64_t word = 0;
  for (std::uint64_t i = 0; i < 8 && index * 8 + i < bytes; ++i) {
    word |= static_cast<std::uint64_t>(leaf[index * 8 + i]) << (8 * i);
  }
  return word;
}

// Sums over the words thread, thread + threads, ... of a leaf; `threads` is a multiple of kLanes.
// Neighbouring threads read neighbouring words. `aligned`: the leaf begins at a multiple of 8.
REPRISE_HOST_DEVICE inline ThreadSums sum_words(const unsigned char* leaf, std::uint64_t bytes,
                                                bool aligned, std::uint32_t thread,
                                                std::uint32_t threads) {
  ThreadSums sums;
  const std::uint64_t key = lane_key(static_cast<int>(thread % kLanes));
  const std::uint64_t whole = bytes / 8;
  for (std::uint64_t i = thread; i * 8 < bytes; i += threads) {
    const std::uint64_t word = aligned && i < whole
                                   ? reinterpret_cast<const std::uint64_t*>(leaf)[i]
                                   : word_of(leaf, bytes, i);
    sums.products += keyed_product(word, key + i / kLanes * kKeyStep);
    sums.words += word;
  }
  return sums;
}

}  // namespace reprise::ledger
