#include "engine/data/roads/cutouts.h"

#include <algorithm>
#include <cmath>

namespace reprise::engine::roads {
namespace {

// Distance of (x, y) to the segment from (ax, ay) to (bx, by).
float to_segment(float x, float y, float ax, float ay, float bx, float by) {
  const float dx = bx - ax;
  const float dy = by - ay;
  const float t = clamp01(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy));
  const float ex = x - ax - t * dx;
  const float ey = y - ay - t * dy;
  return std::sqrt(ex * ex + ey * ey);
}

// A person in units of the height, feet at the origin, in the middle of a step.
std::optional<Colour> person(const Object& object, float x, float y) {
  const float stride = 0.1F * object.phase;
  const float swing = -0.08F * object.phase;
  const Colour skin =
      mix(Colour{0.85F, 0.66F, 0.54F}, Colour{0.42F, 0.28F, 0.2F}, lattice(1, 2, object.seed));
  const float head = to_segment(x, y, 0, 0.915F, 0, 0.93F);
  if (head < 0.058F) {
    return y > 0.945F ? Colour{0.16F, 0.12F, 0.09F} : skin;
  }
  if (to_segment(x, y, 0, 0.79F, 0, 0.56F) < (y > 0.7F ? 0.105F : 0.088F)) {
    return object.paint;
  }
  for (const float side : {-1.0F, 1.0F}) {
    if (to_segment(x, y, side * 0.11F, 0.79F, side * 0.14F + side * swing, 0.5F) < 0.032F) {
      return y < 0.54F ? skin : object.paint * 0.85F;
    }
    if (to_segment(x, y, side * 0.045F, 0.52F, side * (0.045F + stride), 0.03F) < 0.048F) {
      return y < 0.05F ? Colour{0.08F, 0.07F, 0.07F} : object.second;
    }
  }
  return std::nullopt;
}

// Light falls on the upper left or right of a crown, as the sun stands.
Colour leaves(const World& world, const Object& object, float x, float y, float radius) {
  const float blotch = fractal_noise(x * 2.1F, y * 2.1F, object.seed, 2);
  const float towards = clamp01(0.5F + 0.5F * (x * world.weather.sun_x + y * 0.8F) / radius);
  return object.paint * (0.55F + 0.5F * blotch) * mix(0.75F, 1.3F, towards);
}

std::optional<Colour> tree(const World& world, const Object& object, float x, float y) {
  const float radius = object.width / 2;
  const float crown_y = object.height - radius * 1.05F;
  const float ragged =
      0.3F * radius * (fractal_noise(x * 1.3F, y * 1.3F, object.seed + 5, 2) - 0.5F) * 2;
  // Three overlapping balls make a crown that is not round.
  for (int i = 0; i < 3; ++i) {
    const float cx = radius * 0.55F * (lattice(i, 0, object.seed) - 0.5F) * 2;
    const float cy = crown_y + radius * 0.45F * (lattice(i, 1, object.seed) - 0.5F) * 2;
    const float size = radius * (0.55F + 0.25F * lattice(i, 2, object.seed));
    const float dx = x - cx;
    const float dy = y - cy;
    if (std::sqrt(dx * dx + dy * dy) < size + ragged) {
      return leaves(world, object, x, y - crown_y, radius);
    }
  }
  if (y < crown_y && std::abs(x) < 0.03F * object.height * (1.2F - y / object.height)) {
    return object.second;
  }
  return std::nullopt;
}

std::optional<Colour> conifer(const World& world, const Object& object, float x, float y) {
  const float base = 0.1F * object.height;
  if (y < base) {
    return std::abs(x) < 0.025F * object.height ? std::optional(object.second) : std::nullopt;
  }
  const float share = (object.height - y) / (object.height - base);
  // Whorls of branches: a saw tooth on the outline.
  const float tier = share * 6;
  const float tooth = 0.72F + 0.28F * (tier - static_cast<float>(floor_int(tier)));
  const float edge = object.width / 2 * share * tooth *
                     (0.85F + 0.3F * noise(y * 3, x > 0 ? 0.5F : 7.5F, object.seed));
  if (std::abs(x) < edge) {
    return leaves(world, object, x, y - object.height / 2, object.width / 2) * 0.85F;
  }
  return std::nullopt;
}

std::optional<Colour> post(const Object& object, float x, float y) {
  if (std::abs(x) > object.width / 2 || y > object.height - 0.5F * std::abs(x)) {
    return std::nullopt;
  }
  const float share = y / object.height;
  if (share > 0.72F && share < 0.86F) {
    const bool reflector = std::abs(x) < object.width * 0.3F;
    return reflector ? (object.phase < 0 ? Colour{0.95F, 0.5F, 0.1F} : Colour{0.95F, 0.95F, 1.0F})
                     : object.second;
  }
  return share > 0.62F && share < 0.95F ? object.second : object.paint;
}

std::optional<Colour> lamp(const Object& object, float x, float y) {
  const bool pole = std::abs(x) < 0.075F && y < object.height;
  const bool arm = to_segment(x, y, 0, object.height - 0.05F, -1.0F, object.height + 0.12F) < 0.05F;
  const bool head = std::abs(x + 0.95F) < 0.3F && std::abs(y - object.height - 0.08F) < 0.07F;
  return pole || arm || head ? std::optional(object.paint) : std::nullopt;
}

}  // namespace

std::optional<Hit> look_at_cutout(const World& world, const Object& object, Sight sight) {
  const float x = sight.x * object.z - object.x;
  const float y = sight.y * object.z + world.camera.height_m;
  if (y < 0) {
    return std::nullopt;
  }
  std::optional<Colour> colour;
  switch (object.kind) {
    case Kind::kPedestrian: colour = person(object, x / object.height, y / object.height); break;
    case Kind::kTree: colour = tree(world, object, x, y); break;
    case Kind::kConifer: colour = conifer(world, object, x, y); break;
    case Kind::kPost: colour = post(object, x, y); break;
    default: colour = lamp(object, x, y); break;
  }
  if (!colour) {
    return std::nullopt;
  }
  const Weather& weather = world.weather;
  // Lit from behind the camera more than from in front of it.
  const float facing = 0.55F - 0.3F * weather.sun_z;
  return Hit{*colour * (weather.ambient + weather.sun * (weather.direct * facing)), object.z};
}

}  // namespace reprise::engine::roads
