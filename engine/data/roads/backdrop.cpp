#include "engine/data/roads/backdrop.h"

#include "engine/data/roads.h"
#include "engine/random/stable_math.h"

#include <cmath>

namespace reprise::engine::roads {
namespace {

// Beyond this the ground is one colour.
constexpr float kFarGround_m = 900;

// What is the same for a row of ground pixels.
struct GroundRow {
  float z = 0;
  float centre = 0;   // of our lane, in x
  float across = 1;   // cosine between the row and the road's normal
  float along = 0;    // metres along the road
  float pixel_x = 0;  // size of a pixel across the road and along it
  float pixel_z = 0;
  float dash = 0;   // share of the row covered by a dash
  float clear = 1;  // visibility
  std::vector<const Shadow*> shadows;
};

float dash_share(const Road& road, float along, float pixel) {
  if (pixel > road.dash_period_m) {
    return road.dash_m / road.dash_period_m;
  }
  float place = (along + road.dash_phase_m) / road.dash_period_m;
  place = (place - static_cast<float>(floor_int(place))) * road.dash_period_m;
  return std::max(coverage(0, road.dash_m, place, pixel),
                  coverage(road.dash_period_m, road.dash_period_m + road.dash_m, place, pixel));
}

GroundRow ground_row(const World& world, const Projection& projection, int y) {
  const Road& road = world.road;
  const float drop = static_cast<float>(y) + 0.5F - projection.horizon_y;
  GroundRow row;
  row.z = std::min(world.camera.height_m * projection.focal / drop, kFarGround_m);
  row.centre = road.centre(row.z);
  const float slope = road.slope(row.z);
  row.across = 1 / std::sqrt(1 + slope * slope);
  row.along = row.z * (1 + slope * slope * (1.0F / 6));
  row.pixel_x = row.z / projection.focal * row.across;
  row.pixel_z = row.z * row.z / (projection.focal * world.camera.height_m);
  row.dash = dash_share(road, row.along, row.pixel_z);
  // Beyond 300 m as thick as there: otherwise the last row would be a bright line under the hills.
  row.clear = visibility(world.weather, std::min(row.z, 300.0F));
  for (const Shadow& shadow : world.shadows) {
    if (std::abs(shadow.z - row.z) < shadow.half_long + shadow.half_short) {
      row.shadows.push_back(&shadow);
    }
  }
  return row;
}

// How much of a texture with features of `size_m` is left where a pixel is `pixel_m` wide.
float texture_share(float size_m, float pixel_m) { return clamp01(1.5F - pixel_m / size_m); }

float mark_share(const Road& road, const GroundRow& row, float across) {
  constexpr float kHalf_m = 0.07F;
  const auto line = [&](float at) {
    return coverage(at - kHalf_m, at + kHalf_m, across, row.pixel_x);
  };
  float share = 0;
  if (road.edge_lines) {
    share = std::max(line(road.left_edge_m + 0.2F), line(road.right_edge_m - 0.2F));
  }
  for (float at = road.left_edge_m + road.lane_m; at < road.right_edge_m - 1; at += road.lane_m) {
    if (std::abs(at - road.divider_m) > 0.1F) {
      share = std::max(share, row.dash * line(at));
    }
  }
  return share;
}

float divider_share(const Road& road, const GroundRow& row, float across) {
  constexpr float kHalf_m = 0.07F;
  if (road.one_way) {
    return 0;
  }
  const auto line = [&](float at) {
    return coverage(at - kHalf_m, at + kHalf_m, across, row.pixel_x);
  };
  return road.divider_solid ? std::max(line(road.divider_m - 0.14F), line(road.divider_m + 0.14F))
                            : row.dash * line(road.divider_m);
}

Colour road_colour(const World& world, const GroundRow& row, float across) {
  const Road& road = world.road;
  float level = road.asphalt;
  const float fine = texture_share(0.12F, row.pixel_x) * texture_share(0.3F, row.pixel_z);
  if (fine > 0) {
    level +=
        fine * road.asphalt_contrast * 0.8F * (noise(across * 9, row.along * 6, world.seed) - 0.5F);
  }
  const float coarse = texture_share(2.5F, row.pixel_z);
  if (coarse > 0) {
    level += coarse * road.asphalt_contrast *
             (fractal_noise(across * 0.55F, row.along * 0.16F, world.seed + 7, 2) - 0.5F);
  }
  // Tyres polish two tracks in each lane.
  const float lane = across / road.lane_m + 0.5F;
  const float in_lane = std::abs(lane - static_cast<float>(floor_int(lane)) - 0.5F) * road.lane_m;
  level -= 0.03F * smooth_step(0.45F, 0.0F, std::abs(in_lane - 0.8F));
  Colour colour = Colour{1.0F, 1.0F, 1.02F} * level;

  float paint = mark_share(road, row, across);
  float divider = divider_share(road, row, across);
  if (road.wear > 0.05F && paint + divider > 0) {
    const float worn =
        road.wear * texture_share(0.4F, row.pixel_z) *
        smooth_step(0.35F, 0.75F, noise(across * 4, row.along * 2.5F, world.seed + 3));
    paint *= 1 - worn;
    divider *= 1 - worn;
  }
  const float fade = 1 - 0.35F * road.wear;
  colour = mix(colour, Colour{0.88F, 0.88F, 0.86F}, paint * fade);
  const Colour line =
      road.divider_yellow ? Colour{0.86F, 0.66F, 0.16F} : Colour{0.88F, 0.88F, 0.86F};
  return mix(colour, line, divider * fade);
}

Colour verge_colour(const World& world, const GroundRow& row, float x, float beyond) {
  const Weather& weather = world.weather;
  const float patch = texture_share(6, row.pixel_z) *
                      (fractal_noise(x * 0.22F, row.z * 0.12F, world.seed + 11, 2) - 0.5F);
  const float blades = texture_share(0.5F, row.pixel_z) * texture_share(0.25F, row.pixel_x) *
                       (noise(x * 5, row.z * 3, world.seed + 12) - 0.5F);
  Colour ground = weather.grass * (1 + 0.55F * patch + 0.4F * blades);
  if (world.road.pavement) {
    const float joint =
        texture_share(0.4F, row.pixel_z) *
        coverage(0, 0.06F, row.along - 1.2F * static_cast<float>(floor_int(row.along / 1.2F)),
                 row.pixel_z);
    const Colour slab = Colour{0.58F, 0.57F, 0.55F} * (1 - 0.3F * joint + 0.1F * blades);
    const Colour kerb = Colour{0.7F, 0.7F, 0.69F};
    const float is_slab = coverage(0, 2.6F, beyond, row.pixel_x);
    ground = mix(ground, slab, is_slab);
    return mix(ground, kerb, coverage(0, 0.2F, beyond, row.pixel_x));
  }
  const Colour gravel = weather.soil * (1 + 0.5F * blades + 0.3F * patch);
  const float ragged = 0.7F + 0.5F * patch;
  return mix(ground, gravel,
             smooth_step(ragged + row.pixel_x, ragged - 0.35F - row.pixel_x, beyond));
}

float shade_at(const GroundRow& row, float x) {
  float light = 1;
  for (const Shadow* shadow : row.shadows) {
    const float dx = x - shadow->x;
    const float dz = row.z - shadow->z;
    const float along = (dx * shadow->axis_x + dz * shadow->axis_z) / shadow->half_long;
    const float aside = (dx * shadow->axis_z - dz * shadow->axis_x) / shadow->half_short;
    const float distance = along * along + aside * aside;
    if (distance < 1) {
      light *= 1 - shadow->strength * smooth_step(1.0F, 0.55F, distance);
    }
  }
  return light;
}

void paint_ground(Canvas& canvas, const World& world, const Projection& projection, int y) {
  const Road& road = world.road;
  const Weather& weather = world.weather;
  const GroundRow row = ground_row(world, projection, y);
  const Colour light =
      weather.ambient + weather.sun * (weather.direct * (0.35F + 0.65F * weather.sun_y));
  for (int column = 0; column < canvas.size.width; ++column) {
    const float x =
        (static_cast<float>(column) + 0.5F - projection.centre_x) * row.z / projection.focal;
    const float across = (x - row.centre) * row.across;
    const float beyond = std::max(road.left_edge_m - across, across - road.right_edge_m);
    const float on_road = coverage(road.left_edge_m, road.right_edge_m, across, row.pixel_x);
    Colour colour = on_road > 0 ? road_colour(world, row, across) : Colour{};
    if (on_road < 1) {
      colour = mix(verge_colour(world, row, x, beyond), colour, on_road);
    }
    colour = colour * light * shade_at(row, x);
    const std::size_t at = canvas.at(column, y);
    canvas.colour[at] = mix(weather.horizon, colour, row.clear);
    canvas.depth_m[at] = row.z;
    canvas.drivable[at] = beyond < 0 ? 1 : 0;
  }
}

// Height of the hills above the horizon for each column, in pixels.
std::vector<float> hill_line(const World& world, const Projection& projection, int width,
                             float height, std::uint32_t seed) {
  std::vector<float> line(static_cast<std::size_t>(width));
  for (int x = 0; x < width; ++x) {
    const float direction = (static_cast<float>(x) + 0.5F - projection.centre_x) / projection.focal;
    line[static_cast<std::size_t>(x)] =
        projection.focal * height *
        (fractal_noise(direction * 3.1F + 50, 0.5F, world.seed + seed, 5) - 0.2F);
  }
  return line;
}

Colour sky_colour(const World& world, float side, float rise) {
  const Weather& weather = world.weather;
  const float height = clamp01(rise * 2.2F);
  Colour colour = mix(weather.horizon, weather.zenith, height * (2 - height));
  if (weather.sun_z > 0) {
    // Towards the sun: a glow around it, a disc where the picture holds it.
    const float ahead = 1 / std::sqrt(1 + side * side + rise * rise);
    const float towards = (side * weather.sun_x + rise * weather.sun_y + weather.sun_z) * ahead;
    const float apart = 1 - towards;
    const float glow = weather.direct / (1 + 60 * std::max(apart, 0.0F));
    colour = mix(colour, weather.sun, clamp01(0.85F * glow));
  }
  if (rise > 0.004F) {
    const float far = 1 / (rise + 0.06F);
    const float density = fractal_noise(side * far * 0.9F + 31, far * 0.9F, world.seed + 21, 4);
    const float threshold = 0.72F - 0.4F * weather.clouds;
    const float cloud =
        smooth_step(threshold, threshold + 0.2F, density) * smooth_step(0, 0.08F, rise);
    const Colour bright = mix(weather.horizon, Colour{1, 1, 1}, 0.5F);
    const Colour lit = mix(bright, weather.horizon * 0.8F,
                           smooth_step(threshold + 0.1F, threshold + 0.4F, density));
    colour = mix(colour, lit, 0.8F * cloud);
  }
  return colour;
}

void paint_sky(Canvas& canvas, const World& world, const Projection& projection) {
  const Weather& weather = world.weather;
  const int rows = std::min(canvas.size.height, static_cast<int>(projection.horizon_y + 0.5F));
  const auto far = hill_line(world, projection, canvas.size.width, 0.14F, 31);
  const auto near = hill_line(world, projection, canvas.size.width, 0.07F, 41);
  const Colour light = weather.ambient + weather.sun * (weather.direct * 0.6F);
  const Colour far_hill =
      mix(weather.horizon, weather.hill * light, 0.9F * visibility(weather, 260));
  const Colour near_hill =
      mix(weather.horizon, weather.grass * light * 0.62F, 0.95F * visibility(weather, 140));
  for (int y = 0; y < rows; ++y) {
    const float above = projection.horizon_y - (static_cast<float>(y) + 0.5F);
    const float rise = above / projection.focal;
    for (int x = 0; x < canvas.size.width; ++x) {
      const float side = (static_cast<float>(x) + 0.5F - projection.centre_x) / projection.focal;
      const auto column = static_cast<std::size_t>(x);
      const float near_share = clamp01(near[column] - above + 0.5F);
      const float far_share = clamp01(far[column] - above + 0.5F);
      Colour colour{};
      if (near_share < 1) {
        colour = far_share < 1 ? sky_colour(world, side, rise) : colour;
        colour = mix(colour, far_hill, far_share);
      }
      canvas.colour[canvas.at(x, y)] = mix(colour, near_hill, near_share);
    }
  }
}

}  // namespace

Projection::Projection(const Camera& camera, ImageSize size)
    : focal(camera.focal * static_cast<float>(size.width)),
      centre_x(static_cast<float>(size.width) / 2),
      horizon_y(camera.horizon * static_cast<float>(size.height)) {}

float visibility(const Weather& weather, float distance_m) {
  return static_cast<float>(
      stable_exp(std::max(-static_cast<double>(weather.fog_per_m * distance_m), -50.0)));
}

Canvas paint_backdrop(const World& world, ImageSize size) {
  Canvas canvas;
  canvas.size = size;
  const std::size_t pixels =
      static_cast<std::size_t>(size.height) * static_cast<std::size_t>(size.width);
  canvas.colour.resize(pixels);
  canvas.depth_m.assign(pixels, kSkyDepth_m);
  canvas.drivable.assign(pixels, 0);
  canvas.object.assign(pixels, 0);
  const Projection projection(world.camera, size);
  paint_sky(canvas, world, projection);
  for (int y = static_cast<int>(projection.horizon_y + 0.5F); y < size.height; ++y) {
    paint_ground(canvas, world, projection, y);
  }
  return canvas;
}

}  // namespace reprise::engine::roads
