// The world of one road scene: camera, road, weather and what stands on the ground.
//
// Metres; x to the right, y up, z ahead of the camera, which is at (0, height, 0).
#pragma once

#include "engine/data/roads/paint.h"

#include <cstdint>
#include <vector>

namespace reprise::engine::roads {

// Where the camera looks, in units of the picture: the same at every picture size.
struct Camera {
  float height_m = 1.4F;
  float focal = 0.85F;    // focal length in picture widths
  float horizon = 0.42F;  // share of the picture height above the horizon
};

// The centre of the lane we drive in, as a cubic in z, and what lies across it. Distances
// across are measured at right angles to the road, from that centre.
struct Road {
  float offset_m = 0;
  float heading = 0;
  float curvature = 0;       // 1/m, > 0 to the right
  float curvature_rate = 0;  // 1/m^2

  float lane_m = 3.5F;
  float left_edge_m = 0;
  float right_edge_m = 0;
  float divider_m = 0;  // between the directions
  bool one_way = false;
  bool edge_lines = true;
  bool divider_yellow = false;
  bool divider_solid = false;
  float dash_m = 3;
  float dash_period_m = 9;
  float dash_phase_m = 0;
  float wear = 0;         // 0: fresh paint
  bool pavement = false;  // a kerb and a pavement in place of a verge
  float asphalt = 0.35F;
  float asphalt_contrast = 0.1F;

  float centre(float z) const {
    return offset_m + z * (heading + z * (curvature * 0.5F + z * curvature_rate * (1.0F / 6)));
  }
  float slope(float z) const { return heading + z * (curvature + z * curvature_rate * 0.5F); }
};

struct Weather {
  Colour zenith, horizon, sun, ambient;   // colours of light
  float sun_x = 0, sun_y = 1, sun_z = 0;  // direction to the sun, unit length
  float direct = 1;                       // strength of direct light: 0 when overcast
  float clouds = 0.4F;                    // share of the sky
  float fog_per_m = 0;
  float exposure = 1;
  float grain = 0.01F;
  Colour grass, soil, hill;
};

enum class Kind : std::uint8_t {
  kCar,
  kVan,
  kTruck,
  kPedestrian,
  kTree,
  kConifer,
  kPost,
  kLamp,
  kHouse
};

// Something that stands on the ground at (x, z), turned so that its own z axis is
// (forward_x, forward_z). Sizes along its own axes.
struct Object {
  Kind kind = Kind::kCar;
  float x = 0, z = 10;
  float forward_x = 0, forward_z = 1;
  float width = 1.8F, height = 1.5F, length = 4.3F;
  Colour paint, second;
  float phase = 0;  // of a walk; of a pattern
  std::uint32_t seed = 0;
};

// A soft dark ellipse on the ground.
struct Shadow {
  float x = 0, z = 0;
  float axis_x = 1, axis_z = 0;  // direction of the long axis, unit length
  float half_long = 1, half_short = 1;
  float strength = 0.5F;
};

struct World {
  Camera camera;
  Road road;
  Weather weather;
  std::vector<Object> objects;  // farthest first
  std::vector<Shadow> shadows;
  std::uint32_t seed = 0;
};

// The world of scene `index`. Pure function. About 5 us.
World make_world(std::uint64_t index);

// What a driver does here: pure pursuit of the lane's centre 12 m ahead with a wheelbase of
// 2.7 m, small angles, and a steering ratio of 15 (Coulter, "Implementation of the Pure
// Pursuit Path Tracking Algorithm", CMU-RI-TR-92-01). Radians at the steering wheel.
float steering_of(const Road& road);

}  // namespace reprise::engine::roads
