#include "engine/data/view.h"

#include "engine/data/colour.h"
#include "engine/data/open.h"
#include "engine/data/roads.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace reprise::engine {
namespace {

Image ramp(int height, int width) {
  Image image = make_image(height, width, 3);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      image.row(y)[3 * x] = static_cast<std::uint8_t>(10 + x);
      image.row(y)[3 * x + 1] = static_cast<std::uint8_t>(10 + y);
      image.row(y)[3 * x + 2] = 77;
    }
  }
  return image;
}

// A view whose floats are the levels themselves.
View plain_view(int height, int width) {
  View view;
  view.size = {height, width};
  view.normalisation = {{0, 0, 0}, {1.0F / 255, 1.0F / 255, 1.0F / 255}};
  return view;
}

std::vector<float> rendered(const Image& image, const View& view, std::uint64_t seed = 1,
                            MirrorRule rule = MirrorRule::kKeeps) {
  std::vector<float> planes(view.floats());
  render_view(image, view, rule, Stream(seed, Domain::kAugmentation), planes);
  return planes;
}

TEST(View, WithoutAugmentationIsTheImage) {
  const auto planes = rendered(ramp(5, 7), plain_view(5, 7));
  for (int y = 0; y < 5; ++y) {
    for (int x = 0; x < 7; ++x) {
      const auto at = static_cast<std::size_t>(y * 7 + x);
      EXPECT_NEAR(planes[at], 10 + x, 1e-4);
      EXPECT_NEAR(planes[35 + at], 10 + y, 1e-4);
      EXPECT_NEAR(planes[70 + at], 77, 1e-4);
    }
  }
}

TEST(View, OtherSizesAreCutAtTheCentreAndScaled) {
  // 20 wide, 10 high, into a square: columns 5 to 14 stay.
  const auto planes = rendered(ramp(10, 20), plain_view(10, 10));
  EXPECT_NEAR(planes[0], 15, 1e-4);
  EXPECT_NEAR(planes[9], 24, 1e-4);
}

TEST(View, CropWithPaddingShiftsWithinItsRange) {
  View view = plain_view(8, 8);
  view.augmentation.crop_padding = 2;
  std::set<std::pair<int, int>> shifts;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const auto planes = rendered(ramp(8, 8), view, seed);
    // The middle is never beyond the border: its levels tell the shift.
    const int dx = static_cast<int>(std::lround(planes[4 * 8 + 4])) - 14;
    const int dy = static_cast<int>(std::lround(planes[64 + 4 * 8 + 4])) - 14;
    shifts.insert({dx, dy});
    EXPECT_LE(std::abs(dx), 2);
    EXPECT_LE(std::abs(dy), 2);
    for (int y = 0; y < 8; ++y) {
      for (int x = 0; x < 8; ++x) {
        const bool outside = x + dx < 0 || x + dx > 7 || y + dy < 0 || y + dy > 7;
        EXPECT_NEAR(planes[static_cast<std::size_t>(y * 8 + x)], outside ? 0 : 10 + x + dx, 1e-4);
      }
    }
  }
  EXPECT_EQ(shifts.size(), 25U);
}

TEST(View, MirrorFollowsTheRuleOfTheSet) {
  View view = plain_view(4, 6);
  view.augmentation.mirror = 1;
  std::vector<float> planes(view.floats());
  const Stream stream(1, Domain::kAugmentation);
  EXPECT_TRUE(render_view(ramp(4, 6), view, MirrorRule::kNegates, stream, planes));
  EXPECT_NEAR(planes[0], 15, 1e-4);
  EXPECT_FALSE(render_view(ramp(4, 6), view, MirrorRule::kForbids, stream, planes));
  EXPECT_NEAR(planes[0], 10, 1e-4);
}

TEST(View, GreyAndColourTurnIntoWhatTheModelTakes) {
  View grey = plain_view(4, 4);
  grey.channels = 1;
  const auto planes = rendered(ramp(4, 4), grey);
  EXPECT_EQ(planes.size(), 16U);
  EXPECT_NEAR(planes[0], std::floor(10 * 0.299 + 10 * 0.587 + 77 * 0.114 + 0.5), 1e-4);
  Image one = make_image(4, 4, 1);
  std::fill(one.pixels.begin(), one.pixels.end(), std::uint8_t{9});
  for (const float level : rendered(one, plain_view(4, 4))) {
    EXPECT_NEAR(level, 9, 1e-4);
  }
}

TEST(View, RandomResizedCropsStayInTheImageAndVary) {
  View view = plain_view(16, 16);
  view.augmentation.area_min = 0.1F;
  view.augmentation.area_max = 1;
  std::set<float> corners;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const auto planes = rendered(ramp(40, 60), view, seed);
    const auto [low, high] = std::minmax_element(planes.begin(), planes.begin() + 256);
    EXPECT_GE(*low, 10 - 1e-3F);
    EXPECT_LE(*high, 69 + 1e-3F);
    // Left to right and top to bottom stay so.
    EXPECT_LT(planes[0], planes[15]);
    EXPECT_LT(planes[256], planes[256 + 240]);
    corners.insert(planes[0]);
  }
  EXPECT_GT(corners.size(), 30U);
}

TEST(View, ColourChangesArePureFunctionsOfTheStream) {
  View view = plain_view(32, 32);
  Augmentation& how = view.augmentation;
  how = {0.2F, 1, 0.75F, 1.33F, 0, 0.5F, 0.8F, 0.4F, 0.4F, 0.4F, 0.1F, 0.2F, 0.5F, 0.2F};
  const Image image = roads::render_image(5, {64, 64}).image;
  std::set<std::vector<float>> seen;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const auto planes = rendered(image, view, seed);
    EXPECT_EQ(planes, rendered(image, view, seed));
    for (const float level : planes) {
      EXPECT_TRUE(level >= -1e-3F && level <= 255.01F) << level;
    }
    seen.insert(planes);
  }
  EXPECT_EQ(seen.size(), 50U);
}

class ColourTest : public testing::Test {
 protected:
  std::vector<float> values_{200, 10, 30, 90, 100, 10,
                             220, 90, 50, 10, 40,  90};  // 3 planes of 2 x 2
  Planes planes_{values_, 3, 2, 2};
};

TEST_F(ColourTest, AWholeTurnOfHueChangesNothing) {
  const auto before = values_;
  adjust_hue(planes_, 1);
  for (std::size_t i = 0; i < values_.size(); ++i) {
    EXPECT_NEAR(values_[i], before[i], 0.01);
  }
  adjust_hue(planes_, 1.0F / 3);
  EXPECT_NEAR(values_[4], 200, 0.01);  // red has become green
}

TEST_F(ColourTest, FactorOneChangesNothingAndZeroLeavesTheBlendPartner) {
  const auto before = values_;
  adjust_brightness(planes_, 1);
  adjust_contrast(planes_, 1);
  adjust_saturation(planes_, 1);
  for (std::size_t i = 0; i < values_.size(); ++i) {
    EXPECT_NEAR(values_[i], before[i], 1e-3);
  }
  adjust_saturation(planes_, 0);
  EXPECT_NEAR(values_[0], 0.299 * 200 + 0.587 * 100 + 0.114 * 50, 1e-3);
  EXPECT_EQ(values_[0], values_[4]);
  EXPECT_EQ(values_[0], values_[8]);
  adjust_brightness(planes_, 0);
  EXPECT_THAT(values_, testing::Each(0.0F));
}

TEST_F(ColourTest, BlurKeepsTheMeanOfAFlatPictureAndSmoothsAPoint) {
  std::vector<float> point(15 * 15, 0.0F);
  point[7 * 15 + 7] = 225;
  blur({point, 1, 15, 15}, 1.5F);
  double sum = 0;
  for (const float level : point) {
    sum += static_cast<double>(level);
  }
  EXPECT_NEAR(sum, 225, 0.1);
  EXPECT_NEAR(point[7 * 15 + 8] / point[7 * 15 + 7], std::exp(-0.5 / 2.25), 1e-4);
  EXPECT_EQ(point[7 * 15 + 8], point[8 * 15 + 7]);
}

TEST_F(ColourTest, SolariseInvertsTheUpperHalf) {
  solarise(planes_);
  EXPECT_EQ(values_[0], 55);
  EXPECT_EQ(values_[1], 10);
}

TEST(UsualAugmentation, MirrorsOnlyWhereTheTargetAllowsIt) {
  const auto roads = open_dataset("builtin:roads", Split::kTrain);
  const auto digits = open_dataset("builtin:digits", Split::kTrain);
  EXPECT_EQ(usual_augmentation(*roads, {64, 64}).mirror, 0.5F);
  EXPECT_EQ(usual_augmentation(*roads, {64, 64}).crop_padding, 0);
  EXPECT_EQ(usual_augmentation(*digits, {32, 32}).mirror, 0.0F);
  EXPECT_EQ(usual_augmentation(*digits, {32, 32}).crop_padding, 4);
}

}  // namespace
}  // namespace reprise::engine
