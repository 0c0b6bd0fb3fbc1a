#include "ckpt/store/take.h"

#include "ckpt/base/error.h"
#include "tests/ckpt/store/sample_checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace reprise::store {
namespace {

std::vector<std::string> keys(const StateDict& dict) {
  std::vector<std::string> list;
  for (const auto& [name, tensor] : dict) list.push_back(name);
  return list;
}

Checkpoint dino() {
  Checkpoint c;
  c.type = CheckpointType::kDino;
  c.uuid = sample::uuid(1);
  for (StateDict* dict : {&c.student, &c.teacher}) {
    dict->append("backbone.conv", sample::floats({2}, dict == &c.teacher ? 10 : 20));
    dict->append("head.mlp", sample::floats({3}, 1));
  }
  return c;
}

TEST(Take, BackboneOfDinoIsTheTeachersWithoutPrefix) {
  const StateDict backbone = take_weights(dino(), "backbone");
  EXPECT_THAT(keys(backbone), testing::ElementsAre("conv"));
  EXPECT_EQ(backbone.find("conv")->digest(), sample::floats({2}, 10).digest());
}

TEST(Take, StudentAndTeacherAreWhole) {
  EXPECT_THAT(keys(take_weights(dino(), "student")),
              testing::ElementsAre("backbone.conv", "head.mlp"));
  EXPECT_THAT(keys(take_weights(dino(), "student", "head.")), testing::ElementsAre("mlp"));
}

TEST(Take, ModelOfSupervisedIsBothPartsUnderTheNamesOfTheNetwork) {
  Checkpoint c = sample::head_for(1, sample::uuid(2));
  c.uuid_backbone.reset();
  c.backbone.append("conv", sample::floats({2}, 1));
  EXPECT_THAT(keys(take_weights(c, "model")), testing::ElementsAre("conv", "linear.weight"));
  // Of a name in both parts, the part is said.
  c.backbone.append("linear.weight", sample::floats({2}, 1));
  EXPECT_THAT(
      keys(take_weights(c, "model")),
      testing::ElementsAre("backbone.conv", "backbone.linear.weight", "head.linear.weight"));
}

TEST(Take, AHeadAloneIsNoModel) {
  try {
    take_weights(sample::head_for(1, sample::uuid(2)), "model");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "this supervised checkpoint has no model; it has head");
  }
}

TEST(Take, WhatIsNotThereIsAMismatchThatSaysWhatIs) {
  try {
    take_weights(sample::model(1, 1, 0), "teacher");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kMismatch);
    EXPECT_STREQ(error.what(), "this model checkpoint has no teacher; it has model");
  }
  try {
    take_weights(sample::model(1, 1, 0), "model", "module.");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kMismatch);
    EXPECT_THAT(error.what(), testing::HasSubstr("the first one is 'fc.weight'"));
  }
  EXPECT_THROW(take_weights(sample::model(1, 1, 0), "weights"), Error);
}

}  // namespace
}  // namespace reprise::store
