// The promises of docs/training.md for self-distillation, each as an equality of SHA-256.
#include "tests/train/training.h"

#include "ckpt/store/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace reprise::training {
namespace {

using ::testing::HasSubstr;

const Arguments kCommon = {"--mode",
                           "dino",
                           "--image-size",
                           "16",
                           "-q",
                           "--log-every",
                           "1",
                           "--out-dim",
                           "96",
                           "--head-hidden",
                           "32",
                           "--head-bottleneck",
                           "16",
                           "--momentum-teacher",
                           "0.9",
                           "--clip-grad",
                           "1",
                           "--max-eval-samples",
                           "24"};
// Random layers, accumulation, a warm-up of the temperature, a last layer that thaws: 3 updates an
// epoch.
const Arguments kViT = kCommon + Arguments{"--arch",
                                           "vit_tiny",
                                           "--patch-size",
                                           "8",
                                           "--local-size",
                                           "8",
                                           "--local-crops",
                                           "2",
                                           "--dropout",
                                           "0.1",
                                           "--drop-path",
                                           "0.1",
                                           "--batch-size",
                                           "8",
                                           "--accumulate",
                                           "2",
                                           "--max-samples",
                                           "48",
                                           "--epochs",
                                           "2",
                                           "--warmup-teacher-temp",
                                           "0.02",
                                           "--warmup-teacher-temp-epochs",
                                           "1.5"};
const Arguments kResNet = kCommon + Arguments{"--arch",       "resnet18", "--local-crops", "1",
                                              "--local-size", "12",       "--batch-size",  "8",
                                              "--shards",     "4",        "--max-samples", "24",
                                              "--epochs",     "2",        "--optimizer",   "sgd",
                                              "--lr",         "0.01"};

class DinoProofs : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = new Scratch;
    vit_ = run_of("vit", kViT);
    resnet_ = run_of("resnet", kResNet);
  }
  static void TearDownTestSuite() { delete scratch_; }

  static std::string run_of(const std::string& name, const Arguments& arguments) {
    const std::string run = *scratch_ / name;
    const Outcome outcome = train(*scratch_, arguments + Arguments{"--work-dir", run});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return run;
  }
  static void expect_same(const std::string& run, const std::string& other) {
    EXPECT_EQ(ledger_digest(run), ledger_digest(other));
    EXPECT_EQ(checkpoint_digest(last_checkpoint(run)), checkpoint_digest(last_checkpoint(other)));
  }
  static void stop_and_resume(const std::string& run, const Arguments& arguments,
                              std::uint64_t update, const Arguments& resume) {
    const Outcome stopped =
        train_and_signal(*scratch_, arguments + Arguments{"--work-dir", run}, run, update, SIGTERM);
    EXPECT_EQ(stopped.code, 75) << stopped.err;
    const Outcome resumed = train(*scratch_, Arguments{"--resume-from", run, "-q"} + resume);
    EXPECT_EQ(resumed.code, 0) << resumed.err;
  }

  static Scratch* scratch_;
  static std::string vit_, resnet_;
};
Scratch* DinoProofs::scratch_ = nullptr;
std::string DinoProofs::vit_, DinoProofs::resnet_;

TEST_F(DinoProofs, StoppedInTheMiddleOfAnEpochAndResumedByOneProcessMore) {
  const std::string run = *scratch_ / "stopped";
  stop_and_resume(run, kViT, 2, {"--nproc", "2", "--jobs", "1"});
  expect_same(run, vit_);
}

TEST_F(DinoProofs, ResNetStoppedAndResumed) {
  const std::string run = *scratch_ / "resnet-stopped";
  stop_and_resume(run, kResNet, 2, {"--jobs", "1"});
  expect_same(run, resnet_);
}

TEST_F(DinoProofs, OneAndThreeThreadsTwoProcesses) {
  expect_same(run_of("one", kViT + Arguments{"--jobs", "1"}), vit_);
  expect_same(run_of("three", kResNet + Arguments{"--jobs", "3"}), resnet_);
  expect_same(run_of("processes", kResNet + Arguments{"--nproc", "2", "--jobs", "1"}), resnet_);
}

TEST_F(DinoProofs, ActivationCheckpointingAndOtherEvaluations) {
  const std::string run =
      run_of("recomputed", kViT + Arguments{"--activation-checkpointing", "--no-validate"});
  EXPECT_EQ(ledger_digest(run), ledger_digest(vit_));
}

TEST_F(DinoProofs, CheckpointHoldsWhatTheSchemaSays) {
  const Checkpoint checkpoint = store::load(last_checkpoint(resnet_).string());
  EXPECT_EQ(checkpoint.type, CheckpointType::kDino);
  EXPECT_EQ(checkpoint.arch, "resnet18");
  for (const StateDict* network : {&checkpoint.student, &checkpoint.teacher}) {
    EXPECT_TRUE(network->contains("backbone.layer1.0.bn1.running_mean"));
    EXPECT_TRUE(network->contains("head.mlp.0.weight"));
    EXPECT_TRUE(network->contains("head.last_layer.weight_g"));
  }
  const Tensor* centre = checkpoint.loss_func.find("center");
  ASSERT_NE(centre, nullptr);
  EXPECT_EQ(centre->shape(), (Shape{1, 96}));
  EXPECT_TRUE(checkpoint.resumable());
}

TEST_F(DinoProofs, LastLayerStaysForAnEpochAndThenMoves) {
  const auto last_layer = [](const std::string& reference) {
    return store::load(reference).student.find("head.last_layer.weight_v")->to_bytes();
  };
  const std::string long_run = run_of("thaws", kViT + Arguments{"--epochs", "3"});
  const std::string frozen =
      run_of("frozen", kViT + Arguments{"--epochs", "3", "--max-updates", "1"});
  EXPECT_EQ(last_layer(frozen + "/<last>"), last_layer(long_run + "/<ep1>"));
  EXPECT_NE(last_layer(long_run + "/<ep1>"), last_layer(long_run + "/<ep2>"));
}

TEST_F(DinoProofs, AnotherSeedGivesOtherBits) {
  EXPECT_NE(ledger_digest(run_of("seed", kViT + Arguments{"--seed", "1"})), ledger_digest(vit_));
}

TEST_F(DinoProofs, OptionsOfAnotherModeAreRefused) {
  const Outcome supervised = train(*scratch_, {"--out-dim", "12"});
  EXPECT_EQ(supervised.code, 2);
  EXPECT_THAT(supervised.err, HasSubstr("out-dim = 12 means nothing in mode supervised"));
  const Outcome dino = train(*scratch_, {"--mode", "dino", "--ema", "0.9"});
  EXPECT_EQ(dino.code, 2);
  EXPECT_THAT(dino.err, HasSubstr("ema = 0.9 means nothing in mode dino"));
  const Outcome size =
      train(*scratch_, kViT + Arguments{"--local-size", "12", "--work-dir", *scratch_ / "size"});
  EXPECT_EQ(size.code, 2);
  EXPECT_THAT(size.err, HasSubstr("local-size = 12: expected a multiple of the patch size 8"));
}

}  // namespace
}  // namespace reprise::training
