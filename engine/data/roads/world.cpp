#include "engine/data/roads/world.h"

#include "engine/random/stable_math.h"
#include "engine/random/stream.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace reprise::engine::roads {
namespace {

constexpr std::uint64_t kRoadsSet = 1;

// A number in [-1, 1] that is often near 0.
float centred(Stream& stream) { return stream.uniform(-1, 1) * stream.uniform(0.3F, 1); }

Road make_road(Stream& stream) {
  Road road;
  road.curvature = 0.045F * centred(stream);
  road.curvature_rate = 0.0006F * centred(stream);
  road.heading = 0.035F * centred(stream);
  road.offset_m = 0.45F * centred(stream);
  road.lane_m = stream.uniform(3.1F, 3.8F);
  road.one_way = stream.chance(0.15);
  const int ours = stream.chance(0.35) || road.one_way ? 2 : 1;
  const int theirs = road.one_way ? 0 : stream.chance(0.2) ? 2 : 1;
  const int to_our_right = ours == 2 && stream.chance(0.4) ? 1 : 0;
  const auto lanes = [&](int count) { return static_cast<float>(count) * road.lane_m; };
  road.right_edge_m = lanes(to_our_right) + road.lane_m / 2;
  road.divider_m = road.right_edge_m - lanes(ours);
  road.left_edge_m = road.divider_m - lanes(theirs);
  road.edge_lines = stream.chance(0.85);
  road.divider_yellow = stream.chance(0.4);
  road.divider_solid = stream.chance(0.3);
  road.dash_m = stream.uniform(2.5F, 5);
  road.dash_period_m = road.dash_m * stream.uniform(2, 3);
  road.dash_phase_m = stream.uniform(0, road.dash_period_m);
  road.wear = stream.next_float() * stream.next_float();
  road.pavement = stream.chance(0.3);
  road.asphalt = stream.uniform(0.26F, 0.5F);
  road.asphalt_contrast = stream.uniform(0.05F, 0.16F);
  return road;
}

Weather make_weather(Stream& stream) {
  Weather weather;
  const float azimuth = stream.uniform(0, 6.2831853F);
  const float height = stream.uniform(0.12F, 0.95F);
  const float across = std::sqrt(1 - height * height);
  weather.sun_x = across * static_cast<float>(stable_sin(static_cast<double>(azimuth)));
  weather.sun_z = across * static_cast<float>(stable_cos(static_cast<double>(azimuth)));
  weather.sun_y = height;
  weather.clouds = stream.next_float();
  const bool overcast = stream.chance(0.3);
  const float low_sun = 1 - smooth_step(0.12F, 0.45F, height);
  weather.direct = overcast ? stream.uniform(0, 0.15F) : stream.uniform(0.5F, 0.8F);
  weather.sun = mix(Colour{1.0F, 0.97F, 0.9F}, Colour{1.0F, 0.72F, 0.45F}, low_sun);
  const Colour clear_zenith = mix(Colour{0.25F, 0.45F, 0.82F}, Colour{0.3F, 0.36F, 0.6F}, low_sun);
  const Colour clear_horizon =
      mix(Colour{0.74F, 0.84F, 0.93F}, Colour{0.95F, 0.75F, 0.55F}, low_sun);
  const float grey = stream.uniform(0.55F, 0.8F);
  weather.zenith = overcast ? Colour{grey * 0.88F, grey * 0.92F, grey} : clear_zenith;
  weather.horizon = overcast ? Colour{grey + 0.08F, grey + 0.09F, grey + 0.1F} : clear_horizon;
  weather.ambient = overcast ? Colour{0.72F, 0.75F, 0.8F} : Colour{0.5F, 0.54F, 0.62F};
  weather.fog_per_m =
      stream.chance(0.2) ? stream.uniform(0.008F, 0.03F) : stream.uniform(0.001F, 0.005F);
  weather.exposure = stream.uniform(0.8F, 1.15F);
  weather.grain = stream.uniform(0.004F, 0.02F);
  const float dryness = stream.next_float();
  weather.grass = mix(Colour{0.28F, 0.44F, 0.16F}, Colour{0.58F, 0.52F, 0.28F}, dryness * dryness);
  weather.soil = mix(Colour{0.45F, 0.38F, 0.28F}, Colour{0.52F, 0.49F, 0.45F}, stream.next_float());
  weather.hill = mix(weather.grass * 0.7F, Colour{0.32F, 0.4F, 0.5F}, stream.uniform(0.3F, 0.9F));
  return weather;
}

// Stands `object` beside the road `across` metres from our lane's centre at distance `z`,
// heading along the road.
Object beside(const Road& road, Object object, float across, float z) {
  const float slope = road.slope(z);
  const float stretch = std::sqrt(1 + slope * slope);
  object.z = z;
  object.x = road.centre(z) + across * stretch;
  object.forward_x = slope / stretch;
  object.forward_z = 1 / stretch;
  return object;
}

Colour car_paint(Stream& stream) {
  constexpr std::array<Colour, 9> kPaints{{{0.85F, 0.85F, 0.86F},
                                           {0.12F, 0.12F, 0.14F},
                                           {0.5F, 0.52F, 0.55F},
                                           {0.62F, 0.1F, 0.1F},
                                           {0.12F, 0.2F, 0.48F},
                                           {0.3F, 0.31F, 0.33F},
                                           {0.7F, 0.66F, 0.55F},
                                           {0.14F, 0.32F, 0.22F},
                                           {0.85F, 0.6F, 0.12F}}};
  return kPaints[stream.below(kPaints.size())] * stream.uniform(0.85F, 1.1F);
}

Object make_vehicle(Stream& stream) {
  Object object;
  const float which = stream.next_float();
  if (which < 0.7F) {
    object.kind = Kind::kCar;
    object.width = stream.uniform(1.7F, 1.85F);
    object.height = stream.uniform(1.38F, 1.65F);
    object.length = stream.uniform(3.9F, 4.7F);
  } else if (which < 0.88F) {
    object.kind = Kind::kVan;
    object.width = stream.uniform(1.9F, 2.05F);
    object.height = stream.uniform(1.9F, 2.5F);
    object.length = stream.uniform(4.6F, 5.8F);
  } else {
    object.kind = Kind::kTruck;
    object.width = 2.4F;
    object.height = stream.uniform(2.9F, 3.7F);
    object.length = stream.uniform(7, 11);
  }
  object.paint = car_paint(stream);
  object.second = car_paint(stream);
  object.seed = stream.next_u32();
  return object;
}

void turn_round(Object& object) {
  object.forward_x = -object.forward_x;
  object.forward_z = -object.forward_z;
}

// Cars of one lane, nearest first, with gaps between them.
void add_lane(World& world, Stream& stream, float across, float first_z, double density,
              bool oncoming) {
  float z = first_z + 40 * stream.next_float();
  for (int i = 0; i < 3 && z < 110; ++i) {
    Object object = make_vehicle(stream);
    const bool there = stream.chance(density);
    const float wander = 0.25F * stream.uniform(-1, 1);
    if (there) {
      object = beside(world.road, object, across + wander, z + object.length / 2);
      if (oncoming) {
        turn_round(object);
      }
      world.objects.push_back(object);
      z += object.length;
    }
    z += stream.uniform(8, 40);
  }
}

void add_traffic(World& world, Stream& stream) {
  const Road& road = world.road;
  const double density = 0.15 + 0.5 * static_cast<double>(stream.next_float());
  add_lane(world, stream, 0, 9, density, false);
  for (float across = -road.lane_m; across > road.left_edge_m; across -= road.lane_m) {
    add_lane(world, stream, across, 7, density, across < road.divider_m);
  }
  for (float across = road.lane_m; across < road.right_edge_m; across += road.lane_m) {
    add_lane(world, stream, across, 8, density, false);
  }
  if (stream.chance(0.25)) {  // parked off the road
    const float across = road.right_edge_m + 1.5F;
    float z = stream.uniform(7, 30);
    for (int i = 0; i < 3; ++i) {
      const Object object = make_vehicle(stream);
      if (object.kind != Kind::kTruck) {
        world.objects.push_back(beside(road, object, across, z + object.length / 2));
      }
      z += object.length + stream.uniform(1.5F, 12);
    }
  }
}

void add_pedestrians(World& world, Stream& stream) {
  const Road& road = world.road;
  constexpr std::array<Colour, 7> kClothes{{{0.15F, 0.17F, 0.22F},
                                            {0.7F, 0.15F, 0.15F},
                                            {0.2F, 0.32F, 0.6F},
                                            {0.82F, 0.8F, 0.76F},
                                            {0.85F, 0.65F, 0.2F},
                                            {0.3F, 0.45F, 0.3F},
                                            {0.5F, 0.4F, 0.5F}}};
  const std::uint64_t count = stream.chance(0.55) ? 1 + stream.below(4) : 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    Object object;
    object.kind = Kind::kPedestrian;
    object.height = stream.uniform(1.45F, 1.92F);
    object.width = object.height * 0.42F;
    object.length = 0.4F;
    object.paint = kClothes[stream.below(kClothes.size())];
    object.second = kClothes[stream.below(kClothes.size())] * 0.7F;
    object.phase = stream.uniform(-1, 1);
    object.seed = stream.next_u32();
    const bool right = stream.chance(0.6);
    const float beyond = stream.uniform(0.5F, 3);
    const bool crossing = stream.chance(0.12);
    const float on_road = stream.uniform(road.left_edge_m, road.right_edge_m);
    const float across = crossing ? on_road
                         : right  ? road.right_edge_m + beyond
                                  : road.left_edge_m - beyond;
    const float z = crossing ? stream.uniform(9, 30) : stream.uniform(5, 38);
    world.objects.push_back(beside(road, object, across, z));
  }
}

void add_scenery(World& world, Stream& stream) {
  const Road& road = world.road;
  const float trees = stream.next_float();
  const float houses = road.pavement ? stream.uniform(0.3F, 0.9F) : stream.uniform(-0.3F, 0.25F);
  const bool conifers = stream.chance(0.4);
  for (const float side : {-1.0F, 1.0F}) {
    const float edge = side < 0 ? road.left_edge_m : road.right_edge_m;
    float z = stream.uniform(5, 18);
    while (z < 130) {
      Object object;
      object.seed = stream.next_u32();
      const float draw = stream.next_float();
      const float beyond = stream.next_float();
      object.phase = stream.next_float();
      const float tint = stream.uniform(0.75F, 1.15F);
      if (draw < houses) {
        object.kind = Kind::kHouse;
        object.width = stream.uniform(7, 14);
        object.length = stream.uniform(8, 16);
        object.height = stream.uniform(4, 13);
        object.paint =
            mix(Colour{0.78F, 0.74F, 0.66F}, Colour{0.6F, 0.4F, 0.34F}, stream.next_float()) * tint;
        object.second = Colour{0.2F, 0.24F, 0.3F};
        const float across = edge + side * (5 + object.width / 2 + 6 * beyond);
        world.objects.push_back(beside(road, object, across, z + object.length / 2));
        z += object.length + stream.uniform(1, 10);
      } else if (draw < houses + 0.8F * trees) {
        object.kind = conifers && object.phase < 0.7F ? Kind::kConifer : Kind::kTree;
        object.height = stream.uniform(4, 12);
        object.width = object.height * (object.kind == Kind::kConifer ? 0.42F : 0.7F);
        object.length = 0.5F;
        object.paint = mix(world.weather.grass, Colour{0.13F, 0.27F, 0.1F}, 0.75F) * tint;
        object.second = Colour{0.26F, 0.2F, 0.15F};
        world.objects.push_back(beside(
            road, object, edge + side * (2.5F + object.width * 0.3F + 14 * beyond * beyond), z));
        z += stream.uniform(2.5F, 14);
      } else {
        z += stream.uniform(4, 16);
      }
    }
  }
}

// Reflector posts or lamps at regular distances: they follow the curve.
void add_posts(World& world, Stream& stream) {
  const Road& road = world.road;
  if (!stream.chance(0.6)) {
    return;
  }
  Object object;
  object.kind = road.pavement || stream.chance(0.2) ? Kind::kLamp : Kind::kPost;
  const bool lamp = object.kind == Kind::kLamp;
  object.width = lamp ? 2.2F : 0.16F;
  object.height = lamp ? 7.5F : 1.05F;
  object.length = 0.2F;
  object.paint = lamp ? Colour{0.36F, 0.38F, 0.4F} : Colour{0.9F, 0.9F, 0.9F};
  object.second = Colour{0.12F, 0.12F, 0.12F};
  const float spacing = lamp ? 28.0F : stream.uniform(12, 25);
  const float start = stream.uniform(3, spacing);
  for (float z = start; z < 120; z += spacing) {
    object.phase = -1;
    world.objects.push_back(beside(road, object, road.right_edge_m + 0.9F, z));
    if (!lamp) {
      object.phase = 1;
      world.objects.push_back(beside(road, object, road.left_edge_m - 0.9F, z));
    }
  }
}

// The dark spot under a thing, and what it keeps from the sun.
void add_shadows(World& world) {
  const Weather& weather = world.weather;
  for (const Object& object : world.objects) {
    const bool solid = object.kind <= Kind::kTruck;
    if (solid) {
      world.shadows.push_back({object.x, object.z, object.forward_x, object.forward_z,
                               object.length * 0.56F, object.width * 0.62F, 0.75F});
    }
    const bool thin = object.kind == Kind::kPost || object.kind == Kind::kLamp;
    if (weather.direct < 0.3F || thin || object.kind == Kind::kHouse || object.z > 70) {
      continue;
    }
    // The sun's direction on the ground and the length of a shadow of that height.
    const float across = std::sqrt(weather.sun_x * weather.sun_x + weather.sun_z * weather.sun_z);
    const float axis_x = -weather.sun_x / across;
    const float axis_z = -weather.sun_z / across;
    const float reach = std::min(object.height * across / weather.sun_y, 14.0F);
    const float half = object.width * (solid ? 0.6F : 0.42F);
    world.shadows.push_back({object.x + axis_x * reach / 2, object.z + axis_z * reach / 2, axis_x,
                             axis_z, reach / 2 + half, half, weather.direct * 0.6F});
  }
}

// Removes things that would stand in another car, and the rare one that hides everything.
void remove_clashes(std::vector<Object>& objects) {
  std::vector<Object> kept;
  for (const Object& object : objects) {
    const bool clash = std::any_of(kept.begin(), kept.end(), [&](const Object& other) {
      const float x = object.x - other.x;
      const float z = object.z - other.z;
      const float apart = object.kind <= Kind::kPedestrian && other.kind <= Kind::kPedestrian
                              ? (object.length + other.length) / 2 + 0.5F
                              : 0.8F + (object.kind == Kind::kHouse ? object.length / 2 : 0.0F);
      const float aside = (object.width + other.width) / 2;
      return std::abs(z) < apart && std::abs(x) < aside;
    });
    const bool in_the_lens = object.z - object.length / 2 < 3;
    if (!clash && !in_the_lens) {
      kept.push_back(object);
    }
  }
  objects = std::move(kept);
}

}  // namespace

World make_world(std::uint64_t index) {
  Stream stream(0, Domain::kGenerated, {kRoadsSet, index});
  World world;
  world.seed = stream.next_u32();
  world.camera.height_m = stream.uniform(1.25F, 1.65F);
  world.camera.focal = stream.uniform(0.8F, 0.95F);
  world.camera.horizon = stream.uniform(0.38F, 0.47F);
  world.road = make_road(stream);
  world.weather = make_weather(stream);
  add_traffic(world, stream);
  add_pedestrians(world, stream);
  add_scenery(world, stream);
  add_posts(world, stream);
  remove_clashes(world.objects);
  add_shadows(world);
  std::stable_sort(world.objects.begin(), world.objects.end(),
                   [](const Object& a, const Object& b) { return a.z > b.z; });
  return world;
}

float steering_of(const Road& road) {
  constexpr float kAhead_m = 12;
  constexpr float kWheelbase_m = 2.7F;
  constexpr float kSteeringRatio = 15;
  const float aside = road.centre(kAhead_m);
  const float curvature = 2 * aside / (kAhead_m * kAhead_m + aside * aside);
  return kSteeringRatio * kWheelbase_m * curvature;
}

}  // namespace reprise::engine::roads
