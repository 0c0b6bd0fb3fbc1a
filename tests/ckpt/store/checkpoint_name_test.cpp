#include "ckpt/store/checkpoint_name.h"

#include "tests/ckpt/store/sample_checkpoint.h"

#include <gtest/gtest.h>

namespace reprise::store {
namespace {

TEST(CheckpointName, PersistentNameSaysTypeArchitectureEpochAndUuid) {
  EXPECT_EQ(checkpoint_name(sample::model(1, 7, 0.5), SaveKind::kPersistent),
            "checkpoint_model_tiny_net_ep0007_" + sample::uuid(1).text() + ".h5");
  EXPECT_EQ(checkpoint_name(sample::model(1, 7, 0.5), SaveKind::kRolling),
            "checkpoint_model_tiny_net.h5");
}

TEST(CheckpointName, NameOfAHeadHoldsItsBackbone) {
  const Checkpoint head = sample::head_for(2, sample::uuid(1));
  const std::string name = checkpoint_name(head, SaveKind::kPersistent);
  EXPECT_EQ(name, "checkpoint_supervised_for_" + sample::uuid(1).text() +
                      "_tiny_net_RegressionHead_ep0001_" + sample::uuid(2).text() + ".h5");
  const auto parsed = parse_checkpoint_name(name);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->type, "supervised");
  EXPECT_EQ(parsed->uuid_backbone, sample::uuid(1));
  EXPECT_EQ(parsed->uuid, sample::uuid(2));
  EXPECT_EQ(parsed->epoch, 1U);
  EXPECT_EQ(parsed->arch_and_head, "tiny_net_RegressionHead");
  EXPECT_EQ(checkpoint_name(head, SaveKind::kRolling),
            "checkpoint_supervised_tiny_net_RegressionHead.h5");
}

TEST(CheckpointName, ArchitectureCannotLeaveTheFolder) {
  Checkpoint c = sample::model(1, 1, 0);
  c.arch = "../../etc/passwd\n";
  EXPECT_EQ(checkpoint_name(c, SaveKind::kRolling), "checkpoint_model_..-..-etc-passwd-.h5");
  c.arch = "";
  EXPECT_EQ(checkpoint_name(c, SaveKind::kRolling), "checkpoint_model_unknown.h5");
}

TEST(CheckpointName, LargeEpochsKeepAllTheirDigits) {
  const auto parsed =
      parse_checkpoint_name(checkpoint_name(sample::model(1, 123456, 0), SaveKind::kPersistent));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->epoch, 123456U);
}

TEST(CheckpointName, ArchitectureThatLooksLikeAnEpochIsKept) {
  Checkpoint c = sample::model(1, 3, 0);
  c.arch = "net_ep0001";
  const auto parsed = parse_checkpoint_name(checkpoint_name(c, SaveKind::kPersistent));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->epoch, 3U);
  EXPECT_EQ(parsed->arch_and_head, "net_ep0001");
}

TEST(CheckpointName, OtherFilesHaveNoCheckpointName) {
  for (const char* name :
       {"", "checkpoint_", "checkpoint_model_.h5", "checkpoint_other_net.h5", "weights.h5",
        "checkpoint_model_net.h5.tmp-1-abcdefgh", "checkpoint_model_net.txt"}) {
    EXPECT_FALSE(parse_checkpoint_name(name)) << name;
  }
}

}  // namespace
}  // namespace reprise::store
