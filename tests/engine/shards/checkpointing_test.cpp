// Activation checkpointing trades time for memory and not one bit.
#include "tests/engine/shards/small_run.h"

#include <gtest/gtest.h>

namespace reprise::engine {
namespace {

void expect_same_bits(SmallRun run) {
  run.updates = 2;
  const auto alone = single_process();
  const SmallRunResult plain = run_small(run, 2, *alone);
  run.activation_checkpointing = true;
  const SmallRunResult checkpointed = run_small(run, 2, *alone);
  EXPECT_EQ(plain.losses, checkpointed.losses);
  EXPECT_EQ(plain.digest.hex(), checkpointed.digest.hex());
}

TEST(ActivationCheckpointing, KeepsTheBitsOfAResNetAndItsRunningStatistics) {
  expect_same_bits(small_resnet());
}

TEST(ActivationCheckpointing, KeepsTheBitsOfAVitAndItsRandomLayers) {
  expect_same_bits(small_vit());
}

}  // namespace
}  // namespace reprise::engine
