#include "engine/shards/plan.h"

#include "ckpt/base/error.h"

#include <fmt/ranges.h>

#include <bit>
#include <vector>

namespace reprise::engine {

void ShardPlan::validate() const {
  if (batch == 0 || shards == 0 || accumulate == 0) {
    fail(Code::kUsage, "batch size {}, {} shards, accumulation over {}: each has to be at least 1",
         batch, shards, accumulate);
  }
  if (shards > batch) {
    fail(Code::kUsage, "{} shards cannot share a batch of {}; set --shards to at most {}", shards,
         batch, batch);
  }
  const bool fits = world > 0 && std::has_single_bit(static_cast<unsigned>(world)) &&
                    shards % static_cast<unsigned>(world) == 0;
  if (!fits) {
    std::vector<std::uint64_t> possible;
    for (std::uint64_t w = 1; shards % w == 0; w *= 2) possible.push_back(w);
    fail(Code::kUsage,
         "{} processes cannot share {} shards; with {} shards there can be {} processes: start so "
         "many, or set --shards",
         world, shards, shards, fmt::join(possible, ", "));
  }
  if (rank < 0 || rank >= world) {
    fail(Code::kUsage, "rank {} is not below the number of processes, {}", rank, world);
  }
}

SampleRange ShardPlan::leaf_samples(std::uint64_t leaf) const {
  const std::uint64_t within = leaf % shards;
  const std::uint64_t small = batch / shards;
  const std::uint64_t large = batch % shards;  // so many leaves have one sample more
  const std::uint64_t first = within * small + (within < large ? within : large);
  return {leaf / shards * batch + first, small + (within < large ? 1 : 0)};
}

SampleRange ShardPlan::local_samples() const {
  const SampleRange first = leaf_samples(first_leaf());
  const SampleRange last = leaf_samples(first_leaf() + local_leaves() - 1);
  return {first.first, last.first + last.count - first.first};
}

}  // namespace reprise::engine
