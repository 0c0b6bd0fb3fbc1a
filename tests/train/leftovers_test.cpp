// What lay in memory before: a kernel that reads it gives other bits, or no numbers, on another
// day.
#include "tests/train/training.h"

#include <gtest/gtest.h>

#include <map>

namespace reprise::training {
namespace {

// Stages of few pixels, for which libraries have their rarest kernels.
const Arguments kData = words(
    "--data builtin:digits --max-samples 32 --max-eval-samples 8 --batch-size 16 --shards 2 "
    "--max-updates 2 --epochs 1 --log-every 1 --jobs 1 -q");
const std::map<std::string, Arguments> kRuns = {
    {"resnet", words("--arch resnet18 --image-size 16 --optimizer sgd --lr 0.001")},
    {"resnet_bf16", words("--arch resnet18 --image-size 16 --lr 0.001 --amp bf16")},
    {"vit_bf16", words("--arch vit_tiny --image-size 16 --patch-size 8 --dropout 0.1 --amp bf16")},
    {"dino_bf16", words("--mode dino --arch resnet18 --image-size 32 --local-crops 2 --out-dim 512 "
                        "--amp bf16")}};

class Leftovers : public ::testing::TestWithParam<std::string> {
 protected:
  // glibc fills what it hands out with the complement of `byte`; 0: it leaves it alone.
  std::string run_on(int byte) const {
    const std::string run = scratch_ / ("of-" + std::to_string(byte));
    const Outcome outcome =
        finish(start_train(scratch_, kData + kRuns.at(GetParam()) + Arguments{"--work-dir", run},
                           {"GLIBC_TUNABLES=glibc.malloc.perturb=" + std::to_string(byte)}));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return run;
  }
  Scratch scratch_;
};

TEST_P(Leftovers, OfMemoryChangeNoBit) {
  const std::string plain = run_on(0);
  ASSERT_FALSE(HasFailure());
  for (const int byte : {0x81, 0x01}) {  // as floats 8e37 and -2e38
    const std::string filled = run_on(byte);
    ASSERT_FALSE(HasFailure());
    EXPECT_EQ(ledger_digest(filled), ledger_digest(plain));
    EXPECT_EQ(checkpoint_digest(last_checkpoint(filled)),
              checkpoint_digest(last_checkpoint(plain)));
  }
}

INSTANTIATE_TEST_SUITE_P(Runs, Leftovers,
                         ::testing::Values("resnet", "resnet_bf16", "vit_bf16", "dino_bf16"),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace reprise::training
