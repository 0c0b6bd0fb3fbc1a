// Mixed precision through `train`: float16 with its loss scale, on any number of processes and over
// a resume.
#include "tests/train/training.h"

#include "ckpt/base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace reprise::training {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// The scale starts so high that the first updates overflow.
const std::string kHalf =
    "--amp fp16 --image-size 16 --shards 4 --max-samples 48 --max-eval-samples 16 --batch-size 8 "
    "--epochs 2 --log-every 1 -q ";
const Arguments kViT = words(kHalf + "--arch vit_tiny --patch-size 8 --loss-scale 4194304");
const Arguments kResNet =
    words(kHalf +
          "--arch resnet18 --optimizer sgd --lr 0.0001 "
          "--loss-scale 8192 --epochs 1 --max-samples 32 --image-size 32 --shards 2");

class Float16 : public ::testing::Test {
 protected:
  std::string run_of(const std::string& name, const Arguments& arguments) const {
    const std::string run = scratch_ / name;
    const Outcome outcome = train(scratch_, arguments + Arguments{"--work-dir", run});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return run;
  }
  void expect_recovers(const Arguments& what, int updates, std::uint64_t stop_at) const {
    const std::string run = run_of("whole", what);
    const std::string log = read_file(run + "/train.log");
    EXPECT_THAT(log, HasSubstr("update 1: float16 gradients overflow at a loss scale of"));
    // A lower scale lets later updates learn.
    int left_out = 0;
    for (std::size_t at = 0; (at = log.find("left out", at)) != std::string::npos; ++at) ++left_out;
    EXPECT_LT(left_out, updates - 1);
    EXPECT_THAT(read_file(run + "/train.tsv"), Not(HasSubstr("nan")));

    const std::string two = run_of("two", what + words("--nproc 2 --jobs 1"));
    EXPECT_EQ(ledger_digest(two), ledger_digest(run));
    EXPECT_EQ(checkpoint_digest(last_checkpoint(two)), checkpoint_digest(last_checkpoint(run)));
    // Without the scale in the checkpoint the resumed run would overflow all over again.
    const std::string stopped = scratch_ / "stopped";
    const Outcome first = train_and_signal(scratch_, what + words("--work-dir " + stopped), stopped,
                                           stop_at, SIGTERM);
    EXPECT_EQ(first.code, 75) << first.err;
    const Outcome rest = train(scratch_, words("-q --resume-from " + stopped));
    EXPECT_EQ(rest.code, 0) << rest.err;
    EXPECT_EQ(ledger_digest(stopped), ledger_digest(run));
    EXPECT_EQ(checkpoint_digest(last_checkpoint(stopped)), checkpoint_digest(last_checkpoint(run)));
  }
  Scratch scratch_;
};

TEST_F(Float16, AViTRecoversFromAnOverflow) { expect_recovers(kViT, 12, 5); }
TEST_F(Float16, AResNetRecoversFromAnOverflow) { expect_recovers(kResNet, 4, 2); }

TEST_F(Float16, AScaleThatIsNoPowerOfTwoIsRefused) {
  const Outcome outcome = train(scratch_, kViT + words("--loss-scale 1000 --work-dir none"));
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("power of two"));
}

TEST_F(Float16, Bfloat16NeedsNoScale) {
  const Arguments what = words(kHalf + "--arch vit_tiny --patch-size 8 --amp bf16");
  EXPECT_EQ(ledger_digest(run_of("one", what)),
            ledger_digest(run_of("two", what + words("--nproc 2 --jobs 1"))));
}

TEST_F(Float16, MemoryReportSaysWhatThePeakIsMadeOf) {
  const Arguments what = words(
      "--arch vit_tiny --image-size 32 --patch-size 4 --batch-size 8 --shards 2 --max-samples 16 "
      "--epochs 1 --no-validate --memory-report --json -q --jobs 1");
  std::map<std::string, std::uint64_t> activations;
  std::vector<std::string> digests;
  for (const char* how : {"", "--activation-checkpointing"}) {
    const std::string run = scratch_ / (std::string("memory") + how);
    const Outcome outcome = train(scratch_, what + words(how) + words("--work-dir " + run));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const Json memory = parse_json(outcome.out).at("memory");
    std::uint64_t sum = 0;
    for (const auto& [name, bytes] : memory.at("parts").items()) sum += bytes.get<std::uint64_t>();
    EXPECT_EQ(sum, memory.at("peak_bytes").get<std::uint64_t>());
    EXPECT_GT(memory.at("resident_bytes").get<std::uint64_t>(), sum);
    // AdamW: two float32 numbers a weight.
    const auto weights = memory.at("parts").at("weights").get<std::uint64_t>();
    EXPECT_GE(weights, 5'300'000U * 4);
    EXPECT_NEAR(memory.at("parts").at("optimizer").get<double>() / static_cast<double>(weights), 2,
                0.01);
    activations[how] = memory.at("highest").at("activations").get<std::uint64_t>();
    digests.push_back(ledger_digest(run));
  }
  EXPECT_LT(activations["--activation-checkpointing"] * 2, activations[""]);
  EXPECT_EQ(digests[0], digests[1]);
}

}  // namespace
}  // namespace reprise::training
