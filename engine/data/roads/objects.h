// Cars, people, trees, posts and houses: what a line of sight meets of them.
#pragma once

#include "engine/data/roads/backdrop.h"

#include <optional>

namespace reprise::engine::roads {

// A line of sight from the camera: the point at depth z is (x * z, eye height + y * z, z).
struct Sight {
  float x = 0;
  float y = 0;
};

// What it meets: the colour in the light of the scene, without haze, and the depth.
struct Hit {
  Colour colour;
  float depth_m = 0;
};

// Meets an object or passes by. Vehicles and houses are convex bodies with faces; the others
// are flat and face the camera. About 20-60 ns.
std::optional<Hit> look_at(const World& world, const Object& object, Sight sight);

// Half the width of the upright cylinder that holds the object.
float reach_m(const Object& object);

// Paints all objects onto the canvas, farthest first, each pixel blended by the share of lines
// of sight through it that meet the object; depth and object number by the one through its
// centre.
void paint_objects(const World& world, Canvas& canvas);

}  // namespace reprise::engine::roads
