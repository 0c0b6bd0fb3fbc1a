// bfloat16 products: close to float32, and as independent of threads.
#include "tests/engine/shards/small_run.h"

#include <gtest/gtest.h>

namespace reprise::engine {
namespace {

void expect_close_and_same_on_threads(SmallRun run) {
  run.updates = 2;
  const auto alone = single_process();
  const double exact = run_small(run, 2, *alone).losses.front();
  run.compute_type = at::kBFloat16;
  const SmallRunResult one = run_small(run, 1, *alone);
  EXPECT_NE(one.losses.front(), exact);
  EXPECT_NEAR(one.losses.front(), exact, 0.05 * exact);
  EXPECT_EQ(one.digest.hex(), run_small(run, 3, *alone).digest.hex());
}

TEST(BFloat16, ResNet) { expect_close_and_same_on_threads(small_resnet()); }
TEST(BFloat16, Vit) { expect_close_and_same_on_threads(small_vit()); }

}  // namespace
}  // namespace reprise::engine
