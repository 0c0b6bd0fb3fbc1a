// `train --selfcheck` in one process and in several, where all bits are the same and where one op
// of the second pass gives another bit.
#include "ckpt/base/json.h"
#include "tests/train/training.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace reprise::training {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

// 8 leaves an update, of which each of two processes has 4; a vit_tiny has 12 blocks.
const Arguments kCheck = words(
    "--arch vit_tiny --image-size 16 --patch-size 8 --batch-size 8 --shards 4 --accumulate 2 "
    "--max-samples 32 --max-eval-samples 8 --epochs 1 --jobs 1 --selfcheck --selfcheck-updates 2 "
    "-q");
// How often one of the two runs in a pass what each block has once.
constexpr int kCallsInAPass = 2 * 4 * 12;

class Selfcheck : public ::testing::Test {
 protected:
  // Of the op's call `call` in the second pass of `rank`, counted from 1.
  Outcome flaky(int rank, const std::string& op, int call, const Arguments& arguments) {
    const std::string flip = "REPRISE_TEST_FLIP=" + std::to_string(rank) + " " + op + " " +
                             std::to_string(kCallsInAPass + call);
    return finish(start_program(scratch_, REPRISE_BIN_FLAKY_TRAIN, kCheck + arguments, {flip}));
  }

  Scratch scratch_;
};

TEST_F(Selfcheck, OfTwoProcessesSaysThatAllBitsAreTheSame) {
  const std::string run = scratch_ / "run";
  const Outcome outcome = train(scratch_, kCheck + words("--nproc 2 --work-dir " + run));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, ContainsRegex("^2 updates, run twice by 2 processes: [0-9]+ ops and "
                                         "[0-9]+ tensors have the same bits\n$"));
  EXPECT_FALSE(std::filesystem::exists(run));
  // Together they compare what one process does.
  const Outcome alone = train(scratch_, kCheck + words("--json"));
  const Outcome several = train(scratch_, kCheck + words("--json --nproc 2"));
  Json one = parse_json(alone.out);
  Json two = parse_json(several.out);
  // But for the batch, which each loads its part of.
  EXPECT_EQ(two["ops"].get<int>(), one["ops"].get<int>() + 2);
  EXPECT_EQ(two["tensors"], one["tensors"]);
  EXPECT_TRUE(two["same"].get<bool>());
}

TEST_F(Selfcheck, OfTwoProcessesNamesTheRankWhoseOpGaveAnotherBit) {
  // In the second update, of which rank 0 sees nothing but the sum after its last op.
  const int in_second_update = kCallsInAPass / 2 + 1;
  const Outcome outcome = flaky(1, "aten::gelu", in_second_update, words("--nproc 2"));
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_THAT(outcome.out,
              AllOf(testing::StartsWith("rank 1: the two passes part at update 2, shard 4: "
                                        "aten::gelu in the forward pass of blocks.0"),
                    HasSubstr("\nrank 0: every op gave the same bits, but after the last update")));
}

TEST_F(Selfcheck, PutsTheRankFirstFromWhichAnotherBitReachedTheOthers) {
  const Outcome outcome = flaky(1, "aten::gelu", 1, words("--nproc 2 --json"));
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  const Json said = parse_json(outcome.out);
  EXPECT_FALSE(said["same"].get<bool>());
  EXPECT_EQ(said["first"]["rank"], 1);
  EXPECT_EQ(said["first"]["update"], 1);
  EXPECT_EQ(said["first"]["shard"], 4);
  EXPECT_EQ(said["first"]["op"], "aten::gelu");
  ASSERT_EQ(said["parted"].size(), 2U);
  EXPECT_EQ(said["parted"][1]["rank"], 0);
  EXPECT_EQ(said["parted"][1]["update"], 2);
}

TEST_F(Selfcheck, OfOneProcessNamesTheOpThatGaveAnotherBit) {
  // All 8 leaves are this process's.
  const Outcome outcome = flaky(0, "aten::gelu", kCallsInAPass + 1, {});
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(testing::StartsWith("the two passes part at update 1, shard 0: "
                                                     "aten::gelu in the forward pass of blocks.0"),
                                 Not(HasSubstr("rank"))));
}

}  // namespace
}  // namespace reprise::training
