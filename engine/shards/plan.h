// How the global batch is cut, and which cuts belong to this process.
#pragma once

#include <cstdint>

namespace reprise::engine {

struct SampleRange {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
};

// The samples of one update are cut into leaves, in order: accumulate * shards of them. Leaf
// number, shapes and random numbers of a leaf do not depend on `world`; each process owns
// leaves [first_leaf, first_leaf + local_leaves) and asks the loader for their samples alone.
// Accumulation is more leaves in the same tree: an update of `accumulate` batches, of which
// only as many leaves are in memory at a time as there are threads.
struct ShardPlan {
  std::uint64_t batch = 0;       // samples of one global batch
  std::uint64_t shards = 8;      // leaves it is cut into
  std::uint64_t accumulate = 1;  // global batches an update takes
  int world = 1;
  int rank = 0;

  // Errors: kUsage when a number is 0; when there are more shards than samples in the batch;
  // when world is no power of two or does not divide `shards`, naming the world sizes that would.
  void validate() const;

  std::uint64_t leaves() const { return shards * accumulate; }
  std::uint64_t samples_per_update() const { return batch * accumulate; }
  std::uint64_t local_leaves() const { return leaves() / static_cast<std::uint64_t>(world); }
  std::uint64_t first_leaf() const { return local_leaves() * static_cast<std::uint64_t>(rank); }
  // Samples of a leaf within the update. Leaves of a batch differ by at most one sample, the
  // larger ones first.
  SampleRange leaf_samples(std::uint64_t leaf) const;
  // Samples of all leaves of this process: one run, because its leaves are neighbours.
  SampleRange local_samples() const;
};

}  // namespace reprise::engine
