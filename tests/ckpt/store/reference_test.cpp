#include "ckpt/store/reference.h"

#include "ckpt/base/error.h"
#include "ckpt/store/load.h"
#include "ckpt/store/run_directory.h"
#include "ckpt/store/save.h"
#include "tests/ckpt/store/sample_checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>

namespace reprise::store {
namespace {

namespace fs = std::filesystem;

class ReferenceTest : public testing::Test {
 protected:
  // Epochs 1..4 with these values; the third is NaN.
  void SetUp() override {
    const double values[] = {0.2, 0.8, std::numeric_limits<double>::quiet_NaN(), 0.8};
    for (int i = 0; i < 4; ++i) {
      save(sample::model(i + 1, static_cast<std::uint64_t>(i) + 1, values[i]), run_.checkpoints());
    }
  }

  Uuid at(const std::string& reference) const {
    return load((run_.path() / reference).native(), {.verify = false}).uuid;
  }

  std::string message(const std::string& reference, Code code) const {
    try {
      resolve((run_.path() / reference).native());
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << reference;
      return error.what();
    }
    ADD_FAILURE() << reference << " resolved";
    return "";
  }

  const sample::Scratch root_;
  const RunDirectory run_ = RunDirectory::create(root_ / "run");
};

TEST_F(ReferenceTest, LastCountsBackwards) {
  EXPECT_EQ(at("<last>"), sample::uuid(4));
  EXPECT_EQ(at("<last>~0"), sample::uuid(4));
  EXPECT_EQ(at("<last>~2"), sample::uuid(2));
  EXPECT_THAT(message("<last>~4", Code::kNotFound), testing::HasSubstr("there are only 4"));
}

TEST_F(ReferenceTest, WhatThereIsIsCountedInWords) {
  const auto said = [](const RunDirectory& run, const std::string& reference) -> std::string {
    try {
      return resolve((run.path() / reference).native()).native();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kNotFound);
      return error.what();
    }
  };
  const RunDirectory few = RunDirectory::create(root_ / "few");
  EXPECT_THAT(said(few, "<last>"), testing::EndsWith("<last>: nothing has been saved there yet"));
  const SaveReport saved = save(sample::model(9, 1, 0.5), few.checkpoints());
  EXPECT_THAT(said(few, "<last>~1"), testing::HasSubstr("there is only 1 such checkpoint; there"));
  std::filesystem::remove(saved.path);
  std::ofstream(few.checkpoints() / "x.h5") << "no checkpoint";
  EXPECT_THAT(said(few, "<last>"), testing::HasSubstr("there is no checkpoint that can be read; "));
}

TEST_F(ReferenceTest, BestIsTheEarlierOfEquals) {
  EXPECT_EQ(at("<best>"), sample::uuid(2));
  EXPECT_EQ(at("<best>~1"), sample::uuid(4));
  EXPECT_EQ(at("<best>~2"), sample::uuid(1));
}

TEST_F(ReferenceTest, NanIsNeverBest) {
  EXPECT_THAT(message("<best>~3", Code::kNotFound), testing::HasSubstr("only 3"));
}

TEST_F(ReferenceTest, BestFollowsTheDirectionOfTheMetric) {
  const RunDirectory lower = RunDirectory::create(root_ / "lower");
  for (int i = 1; i <= 3; ++i) {
    Checkpoint c = sample::model(i, static_cast<std::uint64_t>(i), 0);
    MetricsState metrics;
    metrics.set_major("val/loss", MetricMode::kMin);
    metrics.find("val/loss")->record(i == 2 ? 0.1 : 0.9, c.progress->update);
    c.metrics = metrics.to_json();
    save(c, lower.checkpoints());
  }
  EXPECT_EQ(load((lower.path() / "<best>").native()).uuid, sample::uuid(2));
}

// A save after a signal in the middle of an epoch carries the last evaluation's value,
// but not its weights.
TEST_F(ReferenceTest, SaveBetweenEvaluationsIsNotBest) {
  Checkpoint c = sample::model(9, 2, 0.99);
  c.progress->update = 23;
  save(c, run_.checkpoints());
  EXPECT_EQ(at("<best>"), sample::uuid(2));
}

TEST_F(ReferenceTest, EpochAndUuid) {
  EXPECT_EQ(at("<ep3>"), sample::uuid(3));
  EXPECT_EQ(at("<uuid:" + sample::uuid(2).text().substr(0, 8) + ">"), sample::uuid(2));
  EXPECT_THAT(message("<ep12>", Code::kNotFound), testing::HasSubstr("<ep4>"));
  EXPECT_THAT(message("<uuid:zz>", Code::kNotFound), testing::HasSubstr("there are:"));
}

TEST_F(ReferenceTest, EpochIsItsEndNotALaterSave) {
  Checkpoint c = sample::model(9, 3, 0.1);
  c.progress->update = 35;
  save(c, run_.checkpoints());
  EXPECT_EQ(at("<ep3>"), sample::uuid(3));
}

TEST_F(ReferenceTest, TwoSavesOfOneStateAreAmbiguous) {
  save(sample::model(9, 3, 0.1), run_.checkpoints());
  EXPECT_THAT(message("<ep3>", Code::kUsage), testing::HasSubstr("2 checkpoints match"));
  // A rolling save of that state is not.
  save(sample::model(10, 2, 0.1), run_.checkpoints(), {.kind = SaveKind::kRolling});
  EXPECT_EQ(at("<ep2>"), sample::uuid(2));
}

TEST_F(ReferenceTest, MalformedOnesSayWhatThereIs) {
  EXPECT_THAT(message("<newest>", Code::kUsage), testing::HasSubstr("<best>, <last>"));
  EXPECT_THAT(message("<ep1>~1", Code::kUsage), testing::HasSubstr("~N goes with"));
  EXPECT_THAT(message("<epx>", Code::kUsage), testing::HasSubstr("no reference"));
}

TEST_F(ReferenceTest, RealFileOfThatNameWins) {
  fs::copy_file(resolve((run_.path() / "<ep1>").native()), run_.path() / "<last>");
  EXPECT_EQ(at("<last>"), sample::uuid(1));
}

TEST_F(ReferenceTest, DirectoryIsAnErrorUnlessAskedFor) {
  EXPECT_THAT(message("", Code::kUsage), testing::HasSubstr("/<last>"));
  EXPECT_EQ(resolve(run_.path().native(), DirectoryMeans::kLast),
            resolve((run_.path() / "<last>").native()));
}

TEST_F(ReferenceTest, MissingRunIsNotFound) {
  try {
    resolve((root_ / "none/<last>").native());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kNotFound);
  }
}

TEST(Reference, IsRecognisedByItsLastPart) {
  EXPECT_TRUE(is_reference("runs/a/<best>"));
  EXPECT_TRUE(is_reference("<last>~3"));
  for (const char* path : {"a.h5", "runs/<best>/x.h5", "runs/a/<best", "<last>~x", "<last>x", ""}) {
    EXPECT_FALSE(is_reference(path)) << path;
  }
}

}  // namespace
}  // namespace reprise::store
