// Which states of a run are kept.
#include "tests/train/training.h"

#include "ckpt/store/load.h"
#include "ckpt/store/metrics.h"
#include "ckpt/store/reference.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace reprise::training {
namespace {

const Arguments kTiny = words(
    "--arch vit_tiny --image-size 16 --patch-size 8 --batch-size 8 --max-samples 16 "
    "--max-eval-samples 8 --epochs 3 --val-every-updates 1 -q");

// As the checkpoint says it.
store::Metric metric_of(const Checkpoint& checkpoint, std::string_view name) {
  return *store::MetricsState::from(checkpoint.metrics).find(name);
}

std::uint64_t update_of(const std::string& reference) {
  return store::load(store::resolve(reference, store::DirectoryMeans::kLast).string())
      .progress->update;
}

// A run that evaluated more often than it saved once lost its best state: only one that was the
// best at the moment of a save was kept.
TEST(Saving, TheBestIsKeptWhereverItIsMeasured) {
  const Scratch scratch;
  bool before_the_end = false;
  for (const std::string direction : {"min", "max"}) {
    const std::string run = scratch / direction;
    const Outcome outcome = train(
        scratch, kTiny + Arguments{"--save-best-only", "--save-every", "100", "--major-metric",
                                   "val/loss:" + direction, "--work-dir", run});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const auto& values = metric_of(store::load(last_checkpoint(run).string()), "val/loss").values;
    ASSERT_EQ(values.size(), 6U);
    const auto best =
        direction == "min" ? std::ranges::min_element(values) : std::ranges::max_element(values);
    const auto update = static_cast<std::uint64_t>(best - values.begin()) + 1;
    EXPECT_EQ(update_of(run + "/<best>"), update) << direction;
    before_the_end = before_the_end || update < values.size();
  }
  EXPECT_TRUE(before_the_end);
}

TEST(Saving, NothingIsKeptBeforeTheFirstEpochToSave) {
  const Scratch scratch;
  const std::string run = scratch / "run";
  const Outcome outcome =
      train(scratch, kTiny + Arguments{"--save-best-only", "--save-begin", "2", "--work-dir", run});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const auto& file : checkpoints(run))
    EXPECT_GT(store::load(file.string()).progress->update, 2U);
}

// It was printed as changed, and then taken from the checkpoint.
TEST(Saving, AResumeMayAskForAnotherMajorMetric) {
  const Scratch scratch;
  const std::string run = scratch / "run";
  ASSERT_EQ(train(scratch, kTiny + Arguments{"--max-updates", "4", "--patience", "9",
                                             "--save-last-only", "--work-dir", run})
                .code,
            0);
  const Outcome resumed = train(scratch, {"--resume-from", run, "--max-updates", "0",
                                          "--major-metric", "val/loss:max", "-q"});
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  const Checkpoint last = store::load(last_checkpoint(run).string());
  const store::Metric loss = metric_of(last, "val/loss");
  EXPECT_TRUE(loss.use_for_is_best);
  EXPECT_TRUE(loss.use_for_plateau_detection);
  EXPECT_EQ(loss.values.size(), 6U);
  EXPECT_EQ(loss.best, *std::ranges::max_element(loss.values));
  EXPECT_FALSE(metric_of(last, "val/mae").use_for_is_best);
  EXPECT_FALSE(metric_of(last, "val/mae").use_for_plateau_detection);
}

}  // namespace
}  // namespace reprise::training
