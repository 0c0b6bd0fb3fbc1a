#include "engine/random/stream.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

namespace reprise::engine {
namespace {

using testing::ElementsAre;

// These bits are what users' seeds mean. If this test fails, the change is wrong, not the test.
TEST(Stream, BitsNeverChange) {
  Stream stream(1337, Domain::kOrder, {0});
  EXPECT_THAT((std::array{stream.next_u32(), stream.next_u32(), stream.next_u32()}),
              ElementsAre(0x1f36bac6U, 0x6beb3772U, 0xa59ce312U));
  EXPECT_THAT(sample_order(1337, 3, 8), ElementsAre(6, 3, 1, 0, 7, 5, 4, 2));
}

TEST(Stream, IndicesDomainsSeedsAndNamesAreDistinct) {
  std::set<std::uint64_t> firsts;
  int made = 0;
  const auto add = [&](Stream stream) {
    firsts.insert(stream.next_u64());
    ++made;
  };
  add(Stream(0, Domain::kDropout));
  add(Stream(0, Domain::kDropout, {0}));
  add(Stream(0, Domain::kDropout, {0, 0}));
  add(Stream(0, Domain::kDropout, {0, 1}));
  add(Stream(0, Domain::kDropout, {1, 0}));
  add(Stream(0, Domain::kDropPath, {1, 0}));
  add(Stream(1, Domain::kDropout, {1, 0}));
  add(Stream(std::uint64_t{1} << 32, Domain::kDropout, {1, 0}));
  add(Stream(0, Domain::kDropout, {std::uint64_t{1} << 32, 0}));
  add(Stream(0, Domain::kDropout, ""));
  add(Stream(0, Domain::kDropout, std::string_view("\0", 1)));
  add(Stream(0, Domain::kDropout, "a"));
  add(Stream(0, Domain::kDropout, "weights.a"));
  add(Stream(0, Domain::kDropout, "weights.b"));
  EXPECT_EQ(firsts.size(), static_cast<std::size_t>(made));
}

TEST(Stream, FillsEqualSingleDraws) {
  for (const std::size_t count :
       {std::size_t{1}, std::size_t{63}, std::size_t{64}, std::size_t{1030}, std::size_t{4099}}) {
    Stream whole(5, Domain::kNoise, {count});
    Stream single = whole;
    std::vector<std::uint32_t> words(count);
    whole.fill_u32(words);
    for (const std::uint32_t word : words) {
      ASSERT_EQ(word, single.next_u32());
    }
    std::vector<float> normals(count);
    Stream(6, Domain::kNoise).fill_normal(normals, 2.0F, 0.5F);
    Stream normal(6, Domain::kNoise);
    for (const float value : normals) {
      ASSERT_EQ(value, 2.0F + 0.5F * normal.normal());
    }
  }
}

TEST(Stream, FillsAfterAPartialBlockStartAFreshOne) {
  Stream stream(5, Domain::kNoise);
  std::array<std::uint32_t, 8> all{};
  Stream(5, Domain::kNoise).fill_u32(all);
  EXPECT_EQ(stream.next_u32(), all[0]);
  std::array<std::uint32_t, 4> rest{};
  stream.fill_u32(rest);
  EXPECT_THAT(rest, ElementsAre(all[4], all[5], all[6], all[7]));
}

TEST(Stream, NormalsHaveTheRightMoments) {
  std::vector<float> values(1 << 20);
  Stream(9, Domain::kWeights, "layer.weight").fill_normal(values, 0, 1);
  double sum = 0, square = 0, fourth = 0;
  float largest = 0;
  for (const float x : values) {
    sum += x;
    square += static_cast<double>(x) * x;
    fourth += static_cast<double>(x) * x * x * x;
    largest = std::max(largest, std::abs(x));
  }
  const double n = static_cast<double>(values.size());
  EXPECT_NEAR(sum / n, 0, 0.004);
  EXPECT_NEAR(square / n, 1, 0.006);
  EXPECT_NEAR(fourth / n, 3, 0.05);
  EXPECT_GT(largest, 4.2F);
  EXPECT_LT(largest, 6.34F);
}

TEST(Stream, FloatsStayBelowOneAndCoverTheRange) {
  std::vector<float> values(1 << 20);
  Stream(10, Domain::kNoise).fill_uniform(values, 0, 1);
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  EXPECT_GE(*low, 0.0F);
  EXPECT_LT(*high, 1.0F);
  EXPECT_LT(*low, 1e-5F);
  EXPECT_GT(*high, 1.0F - 1e-5F);
}

TEST(Stream, BoundedIntegersHaveNoBias) {
  constexpr std::uint64_t kBound = 7;
  constexpr int kDraws = 700000;
  std::array<int, kBound> counts{};
  Stream stream(11, Domain::kNoise);
  for (int i = 0; i < kDraws; ++i) {
    ++counts[stream.below(kBound)];
  }
  for (const int count : counts) {
    EXPECT_NEAR(count, kDraws / static_cast<int>(kBound), 1500);  // five standard deviations
  }
  // Just over half of the range: without rejection one half would come up twice as often.
  const std::uint64_t bound = (std::uint64_t{1} << 63) + 1;
  int low = 0;
  for (int i = 0; i < 20000; ++i) {
    const std::uint64_t value = stream.below(bound);
    ASSERT_LT(value, bound);
    low += value < bound / 2 ? 1 : 0;
  }
  EXPECT_NEAR(low, 10000, 400);
  EXPECT_EQ(stream.below(1), 0U);
}

TEST(Stream, ChanceOfZeroAndOneIsCertain) {
  Stream stream(12, Domain::kNoise);
  for (int i = 0; i < 10000; ++i) {
    EXPECT_FALSE(stream.chance(0));
    EXPECT_TRUE(stream.chance(1));
  }
}

TEST(Stream, KeepMaskScalesWhatItKeeps) {
  std::vector<float> mask(100000);
  Stream(13, Domain::kDropout, {1, 2, 3}).fill_keep_mask(mask, 0.8F);
  const auto kept = std::count(mask.begin(), mask.end(), 1.0F / 0.8F);
  EXPECT_EQ(std::count(mask.begin(), mask.end(), 0.0F) + kept, 100000);
  EXPECT_NEAR(static_cast<double>(kept), 80000, 700);
}

TEST(Stream, PermutationHoldsEachOnceAndDependsOnEpoch) {
  const auto order = sample_order(1, 0, 1000);
  std::vector<std::uint64_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::uint64_t> expected(1000);
  std::iota(expected.begin(), expected.end(), std::uint64_t{0});
  EXPECT_EQ(sorted, expected);
  EXPECT_EQ(order, sample_order(1, 0, 1000));
  EXPECT_NE(order, sample_order(1, 1, 1000));
  EXPECT_NE(order, sample_order(2, 0, 1000));
  EXPECT_TRUE(sample_order(1, 0, 0).empty());
}

TEST(Stream, PermutationsOfThreeAreEquallyLikely) {
  std::map<std::vector<std::uint64_t>, int> counts;
  for (std::uint64_t epoch = 0; epoch < 6000; ++epoch) {
    ++counts[sample_order(3, epoch, 3)];
  }
  ASSERT_EQ(counts.size(), 6U);
  for (const auto& [order, count] : counts) {
    EXPECT_NEAR(count, 1000, 150);
  }
}

}  // namespace
}  // namespace reprise::engine
