// Sums over the GPUs of a machine with two or more: NCCL's bits are the tree's.
#include "ckpt/base/error.h"
#include "engine/device/device.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace reprise::engine {
namespace {

TEST(Nccl, SumsOnTwoGpusHaveTheBitsOfTheTree) {
  try {
    choose_device("cuda:1");
  } catch (const Error& error) {
    GTEST_SKIP() << "needs two GPUs: " << error.what();
  }
  EXPECT_EQ(std::system(REPRISE_WORLD_MAIN " 2 1 gpus"), 0);
}

}  // namespace
}  // namespace reprise::engine
