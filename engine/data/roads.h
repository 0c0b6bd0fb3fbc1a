// builtin:roads: road scenes drawn from a camera behind the windscreen, with full ground truth.
#pragma once

#include "engine/data/image.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace reprise::engine::roads {

enum class Thing : std::uint8_t { kCar = 1, kPedestrian = 2 };

// Axis-aligned, in pixels, half open: [left, right) x [top, bottom), of what is visible.
struct Box {
  Thing thing = Thing::kCar;
  int left = 0;
  int top = 0;
  int right = 0;
  int bottom = 0;
  float distance_m = 0;
};

// Everything known about one scene; planes are row-major [height, width].
struct Scene {
  Image image;                         // RGB
  float steering = 0;                  // of the steering wheel, radians, > 0 right, |x| < 2.5
  std::vector<float> depth_m;          // along the optical axis; kSkyDepth_m for the sky
  std::vector<std::uint8_t> drivable;  // 1: own carriageway, not covered by anything
  std::vector<std::uint8_t> thing;     // 0, or Thing of the nearest car or pedestrian
  std::vector<Box> boxes;              // nearest first; at least 2 visible pixels each
};

inline constexpr float kSkyDepth_m = 1000;

// Scenes 0 .. 2^32 - 1; training uses kTrainFirst on, validation kValidationFirst on.
inline constexpr std::uint64_t kTrainFirst = 0;
inline constexpr std::uint64_t kValidationFirst = 1U << 31;

// Scene `index` at `size`: the same world at every size, pure function, thread-safe. About
// 0.3 ms for 64 x 64, linear in pixels. Part of the digest of the set is kVersion: it
// changes with the pictures. Errors: kUsage for a side under 16 or over 4096.
inline constexpr std::string_view kVersion = "1";
Scene render(std::uint64_t index, ImageSize size);

// The image and the angle alone: what training reads.
struct Frame {
  Image image;
  float steering = 0;
};
Frame render_image(std::uint64_t index, ImageSize size);

// The angle of a scene without drawing it. About 5 us.
float steering(std::uint64_t index);

}  // namespace reprise::engine::roads
