// eval beside a run that goes on.
#include "tests/train/training.h"

#include "ckpt/base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <thread>

namespace reprise::training {
namespace {

using ::testing::HasSubstr;

const Arguments kTiny = words(
    "--arch vit_tiny --image-size 16 --patch-size 8 --batch-size 8 --max-samples 16 "
    "--max-eval-samples 8 --epochs 2 --val-every-updates 1 --save-every-updates 1 -q");

TEST(Watch, FollowsARunToItsEnd) {
  const Scratch scratch;
  const std::string run = scratch / "run";
  const Process trains = start_train(scratch, kTiny + Arguments{"--work-dir", run});
  ASSERT_TRUE(wait_for_update(trains, run, 2));
  const Outcome watched = eval(scratch, {run, "--watch", "--compare-origin", "--json"});
  EXPECT_EQ(finish(trains).code, 0);
  EXPECT_EQ(watched.code, 0) << watched.err;
  const Json evaluations = parse_json(watched.out).at("evaluations");
  ASSERT_EQ(evaluations.size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(evaluations[i].at("update"), i + 1);
}

// Where --keep-last removed what was listed but not yet evaluated, the watch once ended with it.
TEST(Watch, GoesOnWhereACheckpointIsRemoved) {
  const Scratch scratch;
  const std::string run = scratch / "run";
  ASSERT_EQ(train(scratch, kTiny + Arguments{"--work-dir", run}).code, 0);
  const auto files = checkpoints(run);
  ASSERT_EQ(files.size(), 4U);
  const Process watches = start_program(scratch, eval_program(), {run, "--watch"});
  while (!has_ended(watches) && read_file(watches.out).empty()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  // Whatever it has got to by now, the others are gone before it looks at them.
  kill(watches.pid, SIGSTOP);
  for (const auto& file : files) std::filesystem::remove(file);
  kill(watches.pid, SIGCONT);
  const Outcome watched = finish(watches);
  EXPECT_EQ(watched.code, 0) << watched.err;
  EXPECT_THAT(watched.out, HasSubstr("update 1"));
}

}  // namespace
}  // namespace reprise::training
