#include "engine/data/roads.h"

#include "ckpt/base/sha256.h"
#include "engine/data/roads/world.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace reprise::engine::roads {
namespace {

// The pictures behind kVersion. A change of these bytes is a new version of the set.
TEST(Roads, PicturesBelongToTheVersion) {
  Sha256 hash;
  for (std::uint64_t index = 0; index < 50; ++index) {
    const Frame frame = render_image(index, {64, 64});
    hash.update(std::as_bytes(std::span(frame.image.pixels)));
    hash.update(std::as_bytes(std::span(&frame.steering, 1)));
  }
  EXPECT_EQ(kVersion, "1");
  EXPECT_EQ(hash.finish().hex(),
            "7f2c5296ac22f0e92358bf771722638c0074f2f897c7e1c304d284e6e4f8f62e");
}

TEST(Roads, SceneAndFrameShowTheSame) {
  for (std::uint64_t index = 0; index < 20; ++index) {
    const Scene scene = render(index, {48, 80});
    const Frame frame = render_image(index, {48, 80});
    EXPECT_EQ(scene.image.pixels, frame.image.pixels);
    EXPECT_EQ(scene.steering, frame.steering);
    EXPECT_EQ(scene.steering, steering(index));
    EXPECT_EQ(scene.image.size(), (ImageSize{48, 80}));
  }
}

TEST(Roads, BoxesHoldExactlyTheMaskOfTheirThings) {
  int cars = 0;
  int pedestrians = 0;
  for (std::uint64_t index = 0; index < 300; ++index) {
    const Scene scene = render(index, {64, 64});
    std::vector<std::uint8_t> inside(scene.thing.size(), 0);
    float nearest = 0;
    for (const Box& box : scene.boxes) {
      ASSERT_TRUE(0 <= box.left && box.left < box.right && box.right <= 64);
      ASSERT_TRUE(0 <= box.top && box.top < box.bottom && box.bottom <= 64);
      EXPECT_GE(box.distance_m, nearest) << "boxes come nearest first";
      nearest = box.distance_m;
      (box.thing == Thing::kCar ? cars : pedestrians) += 1;
      int own = 0;
      for (int y = box.top; y < box.bottom; ++y) {
        for (int x = box.left; x < box.right; ++x) {
          const auto at = static_cast<std::size_t>(y * 64 + x);
          inside[at] = 1;
          const bool same = scene.thing[at] == static_cast<std::uint8_t>(box.thing);
          // Something of the box's own is about as far as the box says.
          own += same && std::abs(scene.depth_m[at] - box.distance_m) < 6.5F ? 1 : 0;
        }
      }
      EXPECT_GE(own, 2) << "scene " << index;
    }
    int outside = 0;
    for (std::size_t at = 0; at < scene.thing.size(); ++at) {
      outside += scene.thing[at] != 0 && inside[at] == 0 ? 1 : 0;
    }
    // Things of a single visible pixel have no box.
    EXPECT_LE(outside, 6) << "scene " << index;
  }
  EXPECT_GT(cars, 300);
  EXPECT_GT(pedestrians, 100);
}

TEST(Roads, DepthMaskAndDrivableSurfaceAgree) {
  for (std::uint64_t index = 0; index < 200; ++index) {
    const World world = make_world(index);
    const Scene scene = render(index, {64, 64});
    const float focal = world.camera.focal * 64;
    for (int y = 0; y < 64; ++y) {
      for (int x = 0; x < 64; ++x) {
        const auto at = static_cast<std::size_t>(y * 64 + x);
        const float depth = scene.depth_m[at];
        ASSERT_GT(depth, 1.0F);
        ASSERT_LE(depth, kSkyDepth_m);
        const float drop = (static_cast<float>(y) + 0.5F) - world.camera.horizon * 64;
        if (scene.thing[at] != 0) {
          EXPECT_EQ(scene.drivable[at], 0);
          EXPECT_LT(depth, 200.0F);
        }
        if (scene.drivable[at] != 0) {
          // A point of the ground, between the edges of the road.
          ASSERT_GT(drop, 0.0F);
          EXPECT_NEAR(depth, std::min(world.camera.height_m * focal / drop, 900.0F), depth * 1e-4F);
          const float across = (static_cast<float>(x) + 0.5F - 32) / focal * depth;
          const float slope = world.road.slope(depth);
          const float from_lane =
              (across - world.road.centre(depth)) / std::sqrt(1 + slope * slope);
          EXPECT_GE(from_lane, world.road.left_edge_m - 0.01F * depth);
          EXPECT_LE(from_lane, world.road.right_edge_m + 0.01F * depth);
        }
        if (drop > 0) {
          EXPECT_LE(depth, std::min(world.camera.height_m * focal / drop, 900.0F) * 1.001F)
              << "nothing is behind the ground";
        }
      }
    }
  }
}

TEST(Roads, AngleFollowsTheCurveAndVaries) {
  double sum = 0, square = 0;
  int right_of_centre = 0;
  constexpr int kScenes = 4000;
  for (std::uint64_t index = 0; index < kScenes; ++index) {
    const float angle = steering(index);
    EXPECT_LT(std::abs(angle), 2.5F);
    EXPECT_EQ(angle > 0, make_world(index).road.centre(12) > 0);
    sum += static_cast<double>(angle);
    square += static_cast<double>(angle) * static_cast<double>(angle);
    right_of_centre += angle > 0 ? 1 : 0;
  }
  // A constant guess misses by far, and neither side is preferred.
  EXPECT_GT(std::sqrt(square / kScenes), 0.3);
  EXPECT_NEAR(sum / kScenes, 0, 0.03);
  EXPECT_NEAR(right_of_centre, kScenes / 2, 200);
}

// The same world at every size: a picture at twice the side, halved, is close to the small one.
TEST(Roads, TheWorldDoesNotDependOnTheSize) {
  for (std::uint64_t index = 0; index < 10; ++index) {
    const Scene small = render(index, {64, 64});
    const Scene large = render(index, {128, 128});
    double difference = 0;
    for (int y = 0; y < 64; ++y) {
      for (int x = 0; x < 64; ++x) {
        for (int c = 0; c < 3; ++c) {
          const int four =
              large.image.row(2 * y)[6 * x + c] + large.image.row(2 * y)[6 * x + 3 + c] +
              large.image.row(2 * y + 1)[6 * x + c] + large.image.row(2 * y + 1)[6 * x + 3 + c];
          difference += std::abs(four / 4.0 - small.image.row(y)[3 * x + c]);
        }
      }
    }
    EXPECT_LT(difference / (64 * 64 * 3), 8.0) << "scene " << index;
    EXPECT_EQ(small.steering, large.steering);
  }
}

TEST(Roads, ScenesDiffer) {
  std::set<std::vector<std::uint8_t>> pictures;
  for (std::uint64_t index = 0; index < 200; ++index) {
    pictures.insert(render_image(index, {32, 32}).image.pixels);
    pictures.insert(render_image(kValidationFirst + index, {32, 32}).image.pixels);
  }
  EXPECT_EQ(pictures.size(), 400U);
}

}  // namespace
}  // namespace reprise::engine::roads
