// The promise that threads do not change a bit: SHA-256 of weights, averages and optimizer state.
#include "tests/engine/shards/small_run.h"

#include <gtest/gtest.h>

#include <cmath>

namespace reprise::engine {
namespace {

void expect_same_on_all_threads(const SmallRun& run) {
  const auto alone = single_process();
  const SmallRunResult one = run_small(run, 1, *alone);
  for (const double loss : one.losses) EXPECT_TRUE(std::isfinite(loss));
  EXPECT_GT(one.norms.front(), 0);
  for (const unsigned threads : {2U, 3U}) {
    const SmallRunResult other = run_small(run, threads, *alone);
    EXPECT_EQ(one.losses, other.losses) << threads << " threads";
    EXPECT_EQ(one.norms, other.norms) << threads << " threads";
    EXPECT_EQ(one.digest.hex(), other.digest.hex()) << threads << " threads";
  }
}

TEST(Threads, DoNotChangeAResNetWithBatchNormAndAccumulation) {
  expect_same_on_all_threads(small_resnet());
}

TEST(Threads, DoNotChangeAVitWithDropoutAndDropPath) { expect_same_on_all_threads(small_vit()); }

TEST(Threads, TheDigestSeesADifferentSeedOfShards) {
  const auto alone = single_process();
  SmallRun run = small_vit();
  const SmallRunResult one = run_small(run, 2, *alone);
  run.plan.shards = 4;
  EXPECT_NE(one.digest.hex(), run_small(run, 2, *alone).digest.hex());
}

}  // namespace
}  // namespace reprise::engine
