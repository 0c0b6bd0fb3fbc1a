// Everything of a road scene that is not an object: sky, hills, ground and road.
#pragma once

#include "engine/data/image.h"
#include "engine/data/roads/world.h"

#include <cstdint>
#include <vector>

namespace reprise::engine::roads {

// A scene being painted; planes are row-major [height, width].
struct Canvas {
  ImageSize size;
  std::vector<Colour> colour;
  std::vector<float> depth_m;
  std::vector<std::uint8_t> drivable;
  std::vector<std::uint16_t> object;  // 1 + index into World::objects of what is seen, or 0

  std::size_t at(int x, int y) const {
    return static_cast<std::size_t>(y) * static_cast<std::size_t>(size.width) +
           static_cast<std::size_t>(x);
  }
};

// Between pixels and directions for one picture size.
struct Projection {
  float focal = 0;      // pixels
  float centre_x = 0;   // pixel of the direction straight ahead
  float horizon_y = 0;  // pixel of eye height

  Projection(const Camera& camera, ImageSize size);
};

// Share of what `distance_m` of air lets through.
float visibility(const Weather& weather, float distance_m);

// A canvas with sky and ground. Textures fade where they would be finer than a pixel, and
// edges of marks are blended by the share of the pixel that they cover. About 60 ns a pixel.
Canvas paint_backdrop(const World& world, ImageSize size);

}  // namespace reprise::engine::roads
