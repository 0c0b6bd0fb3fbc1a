#include "ckpt/store/metrics.h"

#include "ckpt/base/error.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace reprise::store {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(Metrics, BestFollowsTheDirection) {
  Metric lower;
  EXPECT_TRUE(lower.record(0.5, 1));
  EXPECT_FALSE(lower.record(0.7, 2));
  EXPECT_TRUE(lower.record(0.4, 3));
  EXPECT_EQ(lower.best, 0.4);
  Metric higher;
  higher.mode = MetricMode::kMax;
  EXPECT_TRUE(higher.record(0.5, 1));
  EXPECT_TRUE(higher.record(0.7, 2));
  EXPECT_FALSE(higher.record(0.4, 3));
  EXPECT_EQ(higher.best, 0.7);
  EXPECT_EQ(higher.unchanged_for_epochs, 1U);
}

TEST(Metrics, NanAndInfinityAreNeverBest) {
  for (const MetricMode mode : {MetricMode::kMin, MetricMode::kMax}) {
    Metric metric;
    metric.mode = mode;
    EXPECT_FALSE(metric.record(kNan, 1));
    EXPECT_FALSE(metric.record(std::numeric_limits<double>::infinity(), 2));
    EXPECT_FALSE(metric.record(-std::numeric_limits<double>::infinity(), 3));
    EXPECT_FALSE(metric.best);
    EXPECT_TRUE(metric.record(1, 4));
    EXPECT_FALSE(metric.record(kNan, 5));
    EXPECT_EQ(metric.best, 1.0);
  }
}

TEST(Metrics, EqualValueIsNoImprovement) {
  Metric metric;
  metric.record(0.5, 1);
  EXPECT_FALSE(metric.record(0.5, 2));
}

TEST(Metrics, MarginIsAbsoluteOrInPercent) {
  Metric metric;
  metric.min_delta = 0.1;
  metric.record(1.0, 1);
  EXPECT_FALSE(metric.improves(0.95));
  EXPECT_TRUE(metric.improves(0.85));
  metric.percentage = true;
  metric.min_delta = 10;
  EXPECT_FALSE(metric.improves(0.95));
  EXPECT_TRUE(metric.improves(0.85));
}

TEST(Metrics, PlateauAfterPatience) {
  Metric metric;
  metric.patience = 2;
  metric.record(1, 1);
  metric.record(2, 2);
  EXPECT_FALSE(metric.plateau());
  metric.record(2, 3);
  EXPECT_TRUE(metric.plateau());
}

// With --tolerance, the best of all values is still the best: what is saved depends on it.
TEST(Metrics, TheMarginIsForThePlateauAndNotForWhatIsBest) {
  Metric metric;
  metric.min_delta = 0.1;
  EXPECT_FALSE(metric.last_is_best());
  metric.record(1.0, 1);
  EXPECT_TRUE(metric.last_is_best());
  EXPECT_FALSE(metric.record(0.95, 2));
  EXPECT_TRUE(metric.last_is_best());
  EXPECT_EQ(metric.unchanged_for_epochs, 1U);
  metric.record(0.95, 3);
  EXPECT_FALSE(metric.last_is_best());
  metric.record(kNan, 4);
  EXPECT_FALSE(metric.last_is_best());
  metric.record(0.94, 5);
  EXPECT_TRUE(metric.last_is_best());
}

// A resume may ask for another major metric, or the same one in the other direction.
TEST(Metrics, AnotherDirectionJudgesTheValuesAnew) {
  MetricsState state;
  state.set_major("a", MetricMode::kMin);
  state.find("a")->use_for_plateau_detection = true;
  for (std::uint64_t update = 1; update <= 3; ++update) {
    state.find("a")->record(static_cast<double>(update == 2 ? 9 : update), update);
  }
  EXPECT_EQ(state.find("a")->best, 1.0);
  EXPECT_EQ(state.find("a")->unchanged_for_epochs, 2U);
  state.set_major("a", MetricMode::kMax);
  EXPECT_EQ(state.find("a")->best, 9.0);
  EXPECT_EQ(state.find("a")->unchanged_for_epochs, 1U);
  EXPECT_TRUE(state.find("a")->use_for_plateau_detection);
  state.set_major("b", MetricMode::kMin);
  EXPECT_EQ(state.major()->first, "b");
  EXPECT_FALSE(state.find("a")->use_for_plateau_detection);
}

TEST(Metrics, ValueBelongsToTheUpdateItWasMeasuredAt) {
  Metric metric;
  metric.record(0.5, 100);
  EXPECT_EQ(metric.value_at(100), 0.5);
  EXPECT_FALSE(metric.value_at(150));
}

TEST(Metrics, JsonRoundTripKeepsEveryBitAndTheOrder) {
  MetricsState state;
  state.add("z/loss", MetricMode::kMin).record(0.1 + 0.2, 1);
  state.set_major("a/acc", MetricMode::kMax);
  state.find("a/acc")->record(1.0 / 3, 1);
  state.find("a/acc")->record(kNan, 2);
  const std::string text = dump_json(state.to_json());
  const MetricsState again = MetricsState::from(parse_json(text));
  EXPECT_EQ(dump_json(again.to_json()), text);
  EXPECT_EQ(again.metrics()[0].first, "z/loss");
  EXPECT_EQ(again.find("z/loss")->values[0], 0.1 + 0.2);
  ASSERT_NE(again.major(), nullptr);
  EXPECT_EQ(again.major()->first, "a/acc");
  EXPECT_TRUE(std::isnan(again.find("a/acc")->values[1]));
  EXPECT_EQ(again.find("a/acc")->best, 1.0 / 3);
}

// The state as version 5 of the original project writes it.
TEST(Metrics, ReadsTheOriginalForm) {
  const MetricsState state = MetricsState::from(parse_json(
      R"({"validation_mse": {"mode": "min", "use_for_is_best": true, "use_for_plateau_detection": true,
          "patience": 5, "min_delta": 0, "percentage": false, "values": [0.53, 0.88, 0.15],
          "best": 0.15, "unchanged_for_epochs": 0}, "note": "kept"})"));
  ASSERT_NE(state.major(), nullptr);
  EXPECT_EQ(state.major()->first, "validation_mse");
  EXPECT_EQ(state.major()->second.value_at(12345), 0.15);
  EXPECT_EQ(state.to_json()["note"], "kept");
  EXPECT_FALSE(state.to_json()["validation_mse"].contains("updates"));
}

TEST(Metrics, UnknownKeysOfAMetricAreKept) {
  const MetricsState state =
      MetricsState::from(parse_json(R"({"m": {"mode": "max", "unit": "percent"}})"));
  EXPECT_EQ(state.to_json()["m"]["unit"], "percent");
}

TEST(Metrics, WrongTypesAreNamed) {
  const auto message = [](std::string_view text) {
    try {
      MetricsState::from(parse_json(text));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kCorrupt);
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(message(R"({"m": {"mode": "up"}})"),
            "metrics: 'm': 'mode' is string, \"min\" or \"max\" was expected");
  EXPECT_EQ(message(R"({"m": {"mode": "min", "values": 3}})"),
            "metrics: 'm': 'values' is number, an array was expected");
  EXPECT_EQ(message(R"({"m": {"mode": "min", "values": [1, 2], "updates": [1]}})"),
            "metrics: 'm' has 2 values and 1 updates");
}

TEST(Metrics, MajorMetricAsAnOption) {
  EXPECT_EQ(parse_major_metric("val/acc1:max"),
            std::pair(std::string("val/acc1"), MetricMode::kMax));
  EXPECT_EQ(parse_major_metric("val/acc1:min").second, MetricMode::kMin);
  EXPECT_EQ(parse_major_metric("val/acc1").second, MetricMode::kMax);
  EXPECT_EQ(parse_major_metric("val/loss").second, MetricMode::kMin);
  for (const char* bad : {"", ":max", "val/acc1:up", "val/score"}) {
    EXPECT_THROW(parse_major_metric(bad), Error) << bad;
  }
}

}  // namespace
}  // namespace reprise::store
