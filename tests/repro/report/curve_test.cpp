#include "repro/report/curve.h"

#include "repro/report/chart_svg.h"
#include "repro/report/scores.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace reprise::report {
namespace {

using store::MetricMode;
using testing::DoubleEq;
using testing::ElementsAre;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// 3 epochs of 8 updates of 4 samples, a log line every 3 updates, an evaluation every 4.
RunRecord three_epochs() {
  RunRecord run;
  run.label = "run";
  run.train.columns = {"loss", "time"};
  for (std::uint64_t u = 3; u <= 24; u += 3) {
    run.train.rows.push_back({u, (u - 1) / 8 + 1, u * 4, {1.0 / static_cast<double>(u), 1.5}});
  }
  run.valid.columns = {"samples", "val/acc1", "val/loss"};
  const double accuracy[] = {10, kNan, 50, 40, 50, 30};
  const double loss[] = {3, 2, 1, 1, 4, 5};
  for (std::uint64_t i = 0; i < 6; ++i) {
    const std::uint64_t u = 4 * (i + 1);
    run.valid.rows.push_back({u, u / 8, u * 4, {64, accuracy[i], loss[i]}});
  }
  return run;
}

TEST(Curve, EpochsAreFoundWhereNoRowStandsAtTheirEnd) {
  RunRecord run = three_epochs();
  EXPECT_THAT(samples_per_epoch(run), testing::Optional(DoubleEq(32)));
  const auto curve = curve_of(run, "val/acc1", MetricMode::kMax, Axis::kSamples);
  ASSERT_TRUE(curve);
  EXPECT_THAT(curve->epochs, ElementsAre(32, 64, 96));
  // A batch size that changed on the way: no length fits all rows.
  run.train.rows.back().epoch = 20;
  EXPECT_EQ(samples_per_epoch(run), std::nullopt);
}

TEST(Curve, TheBestFollowsTheDirectionAndIsTheEarliestOfEquals) {
  const RunRecord run = three_epochs();
  const auto largest = curve_of(run, "val/acc1", MetricMode::kMax, Axis::kSamples);
  const auto smallest = curve_of(run, "val/loss", MetricMode::kMin, Axis::kSamples);
  EXPECT_THAT(largest->best, testing::Optional(Point{48, 50}));
  EXPECT_THAT(smallest->best, testing::Optional(Point{48, 1}));
  EXPECT_FALSE(curve_of(run, "val/mae", MetricMode::kMin, Axis::kSamples));
}

TEST(Curve, AxesAgreeWithEachOther) {
  const RunRecord run = three_epochs();
  const auto x_of = [&](Axis axis) {
    std::vector<double> x;
    const auto curve = curve_of(run, "val/loss", {}, axis);
    if (!curve) return x;
    for (const Point& p : curve->points) x.push_back(p.x);
    return x;
  };
  EXPECT_THAT(x_of(Axis::kSamples), ElementsAre(16, 32, 48, 64, 80, 96));
  EXPECT_THAT(x_of(Axis::kUpdates), ElementsAre(4, 8, 12, 16, 20, 24));
  EXPECT_THAT(x_of(Axis::kEpochs), ElementsAre(0.5, 1, 1.5, 2, 2.5, 3));
  const std::vector<double> hours = x_of(Axis::kHours);
  EXPECT_NEAR(hours.back(), 24 * 1.5 / 3600, 1e-12);
  EXPECT_NEAR(hours.front(), 4 * 1.5 / 3600, 1e-12);
}

TEST(Curve, ThinningKeepsEveryPeak) {
  std::vector<Point> points;
  for (int i = 0; i < 100'000; ++i) points.push_back({static_cast<double>(i), std::sin(i * 0.001)});
  points[34'567].y = 9;
  points[71'234].y = -9;
  const std::vector<Point> thin = thinned(points, 500);
  EXPECT_LE(thin.size(), 500u);
  EXPECT_THAT(thin, testing::Contains(Point{34'567, 9}));
  EXPECT_THAT(thin, testing::Contains(Point{71'234, -9}));
  EXPECT_TRUE(std::ranges::is_sorted(thin, {}, &Point::x));
}

TEST(Chart, HostileNumbersMakeNoBrokenDrawing) {
  const double inf = std::numeric_limits<double>::infinity();
  const double huge = std::numeric_limits<double>::max();
  for (const std::vector<Point>& points : {std::vector<Point>{},
                                           {{0, kNan}},
                                           {{1, inf}, {2, -inf}},
                                           {{0, 5}},
                                           {{0, huge}, {1, -huge}},
                                           {{3, 1e-300}, {4, 1e299}},
                                           {{7, -1}, {8, kNan}, {9, -2}}}) {
    const std::optional<Curve> curve = Curve{"x", points, {}, {}};
    const std::string svg = chart_svg(std::array{curve}, Axis::kSamples);
    EXPECT_THAT(
        svg, testing::Not(testing::AnyOf(testing::HasSubstr("nan"), testing::HasSubstr("inf\""))));
  }
}

TEST(Scores, SpreadOfBestValues) {
  const RunRecord a = three_epochs();
  RunRecord b = three_epochs();
  b.valid.rows[0].values[1] = 60;
  const std::vector<std::vector<Score>> scores = {best_scores(a, {}), best_scores(b, {})};
  ASSERT_EQ(scores[0].size(), 2u);  // "samples" is no score
  EXPECT_EQ(scores[1][0].value, 60);
  EXPECT_EQ(scores[1][0].update, 4u);
  const std::vector<Spread> spreads = spread(scores);
  EXPECT_DOUBLE_EQ(spreads[0].mean, 55);
  EXPECT_DOUBLE_EQ(spreads[0].deviation, std::sqrt(50.0));
  EXPECT_EQ(spreads[1].deviation, 0);
}

}  // namespace
}  // namespace reprise::report
