// What rows of train.tsv average, over a stop too.
#include "train/interval.h"

#include <gtest/gtest.h>

namespace reprise::train {
namespace {

TEST(Interval, ARowAveragesTheUpdatesSinceTheRowBefore) {
  std::optional<IntervalSums> sums;
  Interval interval(sums);
  IntervalRecord record;
  interval.add(0.1, 2, 0.5);
  interval.add_time(1);
  interval.add(0.2, 4, 0.25);
  interval.add_time(3);
  interval.close(Row::kDue, 10, 1, record);
  EXPECT_EQ(record.loss, (0.1 + 0.2) / 2);
  EXPECT_EQ(record.grad_norm, 3);
  EXPECT_EQ(record.lr, 0.25);
  EXPECT_EQ(record.time_s, 2);
  EXPECT_EQ(record.data_time_s, 0.5);
  EXPECT_EQ(record.eta_s, 20);
  EXPECT_FALSE(sums) << "nothing of the next row is there yet";
  interval.add(7, 5, 0.125);
  interval.add_time(2);
  interval.close(Row::kDue, 1, 1.5, record);
  EXPECT_EQ(record.loss, 7);
  EXPECT_EQ(record.data_time_s, 0.5);
  EXPECT_EQ(record.eta_s, 2) << "6 s for 3 updates so far";
  EXPECT_EQ(interval.updates_here(), 3u);
}

TEST(Interval, AnotherProcessGoesOnWithTheSumsAndItsOwnTime) {
  std::optional<IntervalSums> sums;
  IntervalRecord record;
  {
    Interval first(sums);
    for (const double loss : {0.1, 0.7}) {
      first.add(loss, 1, 0.5);
      first.add_time(100);
    }
    first.close(Row::kAtTheEnd, 0, 50, record);
    EXPECT_EQ(record.loss, (0.1 + 0.7) / 2);
  }
  ASSERT_TRUE(sums);
  EXPECT_EQ(sums->updates, 2u);
  Interval second(sums);
  EXPECT_EQ(second.updates_here(), 0u);
  second.add(0.2, 4, 0.5);
  second.add_time(3);
  second.close(Row::kDue, 2, 1, record);
  EXPECT_EQ(record.loss, (0.1 + 0.7 + 0.2) / 3);
  EXPECT_EQ(record.grad_norm, 2);
  EXPECT_EQ(record.time_s, 3);
  EXPECT_EQ(record.eta_s, 6);
}

}  // namespace
}  // namespace reprise::train
