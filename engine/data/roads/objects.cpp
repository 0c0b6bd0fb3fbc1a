#include "engine/data/roads/objects.h"

#include "engine/data/roads/bodies.h"
#include "engine/data/roads/cutouts.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace reprise::engine::roads {
namespace {

// Pixels [left, right) x [top, bottom) that may show an object.
struct Window {
  int left = 0, top = 0, right = 0, bottom = 0;
};

Window window_of(const World& world, const Object& object, const Projection& projection,
                 ImageSize size) {
  const float reach = reach_m(object);
  const bool flat = object.kind >= Kind::kPedestrian && object.kind != Kind::kHouse;
  const float near = flat ? object.z : std::max(object.z - reach, 1.0F);
  const float far = flat ? object.z : object.z + reach;
  const float left = std::min((object.x - reach) / near, (object.x - reach) / far);
  const float right = std::max((object.x + reach) / near, (object.x + reach) / far);
  const float above = std::max((object.height + 0.3F - world.camera.height_m) / near,
                               (object.height + 0.3F - world.camera.height_m) / far);
  const float below = world.camera.height_m / near;
  const auto limit = [](float pixel, int end) {
    return static_cast<int>(std::clamp(pixel, 0.0F, static_cast<float>(end)));
  };
  return {limit(projection.centre_x + left * projection.focal - 1, size.width),
          limit(projection.horizon_y - above * projection.focal - 1, size.height),
          limit(projection.centre_x + right * projection.focal + 2, size.width),
          limit(projection.horizon_y + below * projection.focal + 2, size.height)};
}

Sight sight_through(const Projection& projection, float x, float y) {
  return {(x - projection.centre_x) / projection.focal,
          (projection.horizon_y - y) / projection.focal};
}

// What the lines of sight through the corners of a row of pixels meet.
using Corners = std::vector<std::optional<Hit>>;

void look_along(const World& world, const Object& object, const Projection& projection,
                const Window& window, int y, Corners& corners) {
  for (int x = window.left; x <= window.right; ++x) {
    corners[static_cast<std::size_t>(x - window.left)] = look_at(
        world, object, sight_through(projection, static_cast<float>(x), static_cast<float>(y)));
  }
}

// Quincunx: each pixel is half its centre and an eighth of each corner, and neighbours share
// corners, so that smooth edges cost two lines of sight a pixel.
void paint_object(const World& world, std::size_t number, const Projection& projection,
                  Canvas& canvas) {
  const Object& object = world.objects[number];
  const Window window = window_of(world, object, projection, canvas.size);
  if (window.left >= window.right || window.top >= window.bottom) {
    return;
  }
  const float clear = visibility(world.weather, object.z);
  Corners above(static_cast<std::size_t>(window.right - window.left + 1));
  Corners below(above.size());
  look_along(world, object, projection, window, window.top, below);
  for (int y = window.top; y < window.bottom; ++y) {
    std::swap(above, below);
    look_along(world, object, projection, window, y + 1, below);
    for (int x = window.left; x < window.right; ++x) {
      const auto column = static_cast<std::size_t>(x - window.left);
      const auto centre = look_at(
          world, object,
          sight_through(projection, static_cast<float>(x) + 0.5F, static_cast<float>(y) + 0.5F));
      Colour sum;
      float share = 0;
      const auto add = [&](const std::optional<Hit>& hit, float weight) {
        if (hit) {
          sum = sum + hit->colour * weight;
          share += weight;
        }
      };
      add(centre, 0.5F);
      add(above[column], 0.125F);
      add(above[column + 1], 0.125F);
      add(below[column], 0.125F);
      add(below[column + 1], 0.125F);
      if (share <= 0) {
        continue;
      }
      const std::size_t at = canvas.at(x, y);
      const Colour seen = mix(world.weather.horizon, sum * (1 / share), clear);
      canvas.colour[at] = mix(canvas.colour[at], seen, share);
      if (centre) {
        canvas.depth_m[at] = centre->depth_m;
        canvas.drivable[at] = 0;
        canvas.object[at] = static_cast<std::uint16_t>(number + 1);
      }
    }
  }
}

}  // namespace

float reach_m(const Object& object) {
  const bool flat = object.kind >= Kind::kPedestrian && object.kind != Kind::kHouse;
  if (flat) {
    return object.width * (object.kind == Kind::kTree ? 0.75F : 0.65F);
  }
  const float margin = object.kind == Kind::kHouse ? 0.4F : 0.0F;
  return std::sqrt(object.width * object.width + object.length * object.length) / 2 + margin;
}

std::optional<Hit> look_at(const World& world, const Object& object, Sight sight) {
  if (object.kind <= Kind::kTruck) {
    return look_at_vehicle(world, object, sight);
  }
  if (object.kind == Kind::kHouse) {
    return look_at_house(world, object, sight);
  }
  return look_at_cutout(world, object, sight);
}

void paint_objects(const World& world, Canvas& canvas) {
  const Projection projection(world.camera, canvas.size);
  for (std::size_t number = 0; number < world.objects.size(); ++number) {
    paint_object(world, number, projection, canvas);
  }
}

}  // namespace reprise::engine::roads
