#include "engine/data/sampler.h"

#include "ckpt/base/error.h"

#include <gmock/gmock.h>

#include <set>

namespace reprise::engine {
namespace {

using testing::ElementsAre;

TEST(TrainSampler, AnEpochVisitsEachSampleOnceAndDropsTheRest) {
  TrainSampler sampler(1, 103, 10);
  EXPECT_EQ(sampler.batches_per_epoch(), 10U);
  for (std::uint64_t epoch = 0; epoch < 3; ++epoch) {
    std::set<std::uint64_t> seen;
    for (int i = 0; i < 10; ++i) {
      const auto step = sampler.next();
      EXPECT_EQ(step.epoch, epoch);
      seen.insert(step.ids.begin(), step.ids.end());
    }
    EXPECT_EQ(seen.size(), 100U);
  }
}

TEST(TrainSampler, ACursorContinuesExactlyWhereItWasTaken) {
  TrainSampler whole(7, 64, 8);
  std::vector<TrainSampler::Step> steps;
  for (int i = 0; i < 30; ++i) {
    steps.push_back(whole.next());
  }
  for (std::size_t cut = 0; cut + 1 < steps.size(); ++cut) {
    TrainSampler resumed(7, 64, 8, steps[cut].after);
    const auto next = resumed.next();
    EXPECT_EQ(next.ids, steps[cut + 1].ids) << cut;
    EXPECT_EQ(next.epoch, steps[cut + 1].epoch) << cut;
    EXPECT_EQ(next.after, steps[cut + 1].after) << cut;
  }
}

TEST(TrainSampler, SeedsAndEpochsDiffer) {
  TrainSampler one(1, 64, 64), two(2, 64, 64);
  const auto first = one.next().ids;
  EXPECT_NE(first, two.next().ids);
  EXPECT_NE(first, one.next().ids);
}

Code code_of(std::uint64_t samples, std::uint64_t batch, Cursor from) {
  try {
    TrainSampler sampler(1, samples, batch, from);
  } catch (const Error& error) {
    return error.code();
  }
  return Code::kNo;
}

TEST(TrainSampler, RefusesWhatDoesNotFit) {
  EXPECT_EQ(code_of(10, 11, {}), Code::kUsage);
  EXPECT_EQ(code_of(10, 0, {}), Code::kUsage);
  EXPECT_EQ(code_of(10, 5, {3, 4}), Code::kMismatch);
  EXPECT_EQ(code_of(10, 5, {3, 15}), Code::kMismatch);
}

TEST(EvaluationBatches, CoverAllInOrderAndPadTheLast) {
  EXPECT_THAT(evaluation_batches(5, 2),
              ElementsAre(ElementsAre(0, 1), ElementsAre(2, 3), ElementsAre(4, kPadding)));
  EXPECT_TRUE(evaluation_batches(0, 4).empty());
}

}  // namespace
}  // namespace reprise::engine
