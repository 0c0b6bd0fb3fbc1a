// When a run has to end, told from losses and gradient norms alone.
#include "train/divergence.h"

#include "ckpt/base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace reprise::train {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

std::string stopped(const Divergence& divergence, double loss, double norm) {
  try {
    divergence.stop(7, loss, norm);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kNo);
    return error.what();
  }
  return "";
}

TEST(Divergence, AGradientThatIsNoNumberEndsTheRunAtOnce) {
  for (const auto& [loss, norm] : {std::pair(1.0, kNan), {1.0, kInf}, {kNan, 1.0}, {kInf, 1.0}}) {
    Divergence divergence(0, false);
    EXPECT_EQ(divergence.judge(1, 1), Verdict::kFine);
    EXPECT_EQ(divergence.judge(loss, norm), Verdict::kDiverged);
    EXPECT_TRUE(divergence.just_began());
    EXPECT_THAT(stopped(divergence, loss, norm), testing::HasSubstr("update 7 has a loss of"));
  }
}

TEST(Divergence, TheThirdLossInARowOverTheLimitEndsTheRun) {
  Divergence divergence(2, false);
  EXPECT_EQ(divergence.judge(2, 1), Verdict::kFine);
  EXPECT_EQ(divergence.judge(3, 1), Verdict::kSuspect);
  EXPECT_TRUE(divergence.just_began());
  EXPECT_EQ(divergence.judge(3, 1), Verdict::kSuspect);
  EXPECT_FALSE(divergence.just_began());
  EXPECT_TRUE(divergence.under_way());
  EXPECT_EQ(divergence.judge(1, 1), Verdict::kFine);
  EXPECT_FALSE(divergence.under_way());
  for (int i = 0; i < 2; ++i) EXPECT_EQ(divergence.judge(3, 1), Verdict::kSuspect);
  EXPECT_EQ(divergence.judge(3, 1), Verdict::kDiverged);
  EXPECT_THAT(stopped(divergence, 3, 1), testing::HasSubstr("a loss of 3, over max-loss = 2;"));
}

TEST(Divergence, AnOverflowIsTheLossScalesAndALossThatIsNoNumberIsNot) {
  Divergence divergence(0, true);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(divergence.judge(1, kInf), Verdict::kFine);
  EXPECT_EQ(divergence.judge(kNan, kInf), Verdict::kSuspect);
  EXPECT_EQ(divergence.judge(kNan, kNan), Verdict::kSuspect);
  EXPECT_EQ(divergence.judge(kNan, kNan), Verdict::kDiverged);
  EXPECT_THAT(stopped(divergence, kNan, kNan), testing::HasSubstr("three updates in a row"));
}

}  // namespace
}  // namespace reprise::train
