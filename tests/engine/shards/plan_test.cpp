#include "engine/shards/plan.h"
#include "ckpt/base/error.h"
#include "engine/shards/tree.h"

#include <gtest/gtest.h>

#include <vector>

namespace reprise::engine {
namespace {

TEST(ShardPlan, LeavesCoverTheUpdateOnceInOrder) {
  for (const std::uint64_t batch : {8U, 19U, 64U}) {
    ShardPlan plan;
    plan.batch = batch;
    plan.accumulate = 3;
    std::uint64_t next = 0;
    for (std::uint64_t leaf = 0; leaf < plan.leaves(); ++leaf) {
      EXPECT_EQ(plan.leaf_samples(leaf).first, next);
      next += plan.leaf_samples(leaf).count;
    }
    EXPECT_EQ(next, plan.samples_per_update());
  }
}

TEST(ShardPlan, ProcessesOwnNeighbouringSamples) {
  ShardPlan plan;
  plan.batch = 19;
  plan.world = 4;
  std::uint64_t next = 0;
  for (plan.rank = 0; plan.rank < 4; ++plan.rank) {
    EXPECT_EQ(plan.local_samples().first, next);
    next += plan.local_samples().count;
  }
  EXPECT_EQ(next, 19U);
}

TEST(ShardPlan, AWorldThatDoesNotDivideTheShardsIsAnErrorThatSaysWhichDo) {
  ShardPlan plan;
  plan.batch = 64;
  plan.shards = 12;
  plan.world = 8;
  try {
    plan.validate();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUsage);
    EXPECT_NE(std::string(error.what()).find("1, 2, 4 processes"), std::string::npos)
        << error.what();
  }
}

TEST(ShardPlan, MoreShardsThanSamplesIsAnError) {
  ShardPlan plan;
  plan.batch = 4;
  EXPECT_THROW(plan.validate(), Error);
}

TEST(Tree, SubtreesOfProcessesAreTheTreesOwn) {
  // Numbers whose sum depends on the order.
  std::vector<double> values;
  for (int i = 0; i < 24; ++i) values.push_back(1.0 / (3 + i * i));
  const std::span<const double> all = values;
  for (const std::size_t world : {2U, 4U, 8U}) {
    std::vector<double> sums;
    for (std::size_t rank = 0; rank < world; ++rank) {
      sums.push_back(tree_sum(all.subspan(rank * 24 / world, 24 / world)));
    }
    EXPECT_EQ(tree_sum(sums), tree_sum(all));
  }
}

}  // namespace
}  // namespace reprise::engine
