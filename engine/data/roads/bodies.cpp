// Vehicles and houses: convex bodies, cut by their planes, painted face by face.
#include "engine/data/roads/bodies.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace reprise::engine::roads {
namespace {

constexpr Colour kGlass{0.13F, 0.17F, 0.21F};
constexpr Colour kRubber{0.06F, 0.06F, 0.065F};

struct Vector {
  float x = 0, y = 0, z = 0;
};

float dot(Vector a, Vector b) { return a.x * b.x + a.y * b.y + a.z * b.z; }

// normal . p <= distance
struct Plane {
  Vector normal;
  float distance = 0;
};

// The faces of a body in this order.
enum Face { kRight, kLeft, kFront, kRear, kLid, kFloor, kFaces };
using Body = std::array<Plane, kFaces>;

struct Entry {
  Face face = kRear;
  float depth = 0;
  Vector point;  // in the object's axes
};

// An upright body over a rectangle whose walls lean inwards by `lean` metres a metre.
Body make_body(float half_width, float front, float rear, float base, float top, float lean_side,
               float lean_front, float lean_rear) {
  const auto wall = [&](float nx, float nz, float distance, float lean) {
    // Leaning keeps the distance at height `base`.
    return Plane{{nx, lean, nz}, distance + lean * base};
  };
  return {wall(1, 0, half_width, lean_side),
          wall(-1, 0, half_width, lean_side),
          wall(0, 1, front, lean_front),
          wall(0, -1, rear, lean_rear),
          Plane{{0, 1, 0}, top},
          Plane{{0, -1, 0}, -base}};
}

// Where the ray from `origin` along `direction` (in the object's axes, one unit of it is one
// metre of depth) enters the body.
std::optional<Entry> enter(const Body& body, Vector origin, Vector direction) {
  float in = 0;
  float out = 1e9F;
  Face face = kRear;
  for (int i = 0; i < kFaces; ++i) {
    const Plane& plane = body[static_cast<std::size_t>(i)];
    const float speed = dot(plane.normal, direction);
    const float gap = plane.distance - dot(plane.normal, origin);
    if (speed < 0) {
      const float at = gap / speed;
      if (at > in) {
        in = at;
        face = static_cast<Face>(i);
      }
    } else if (speed > 0) {
      out = std::min(out, gap / speed);
    } else if (gap < 0) {
      return std::nullopt;
    }
  }
  if (in <= 0 || in >= out) {
    return std::nullopt;
  }
  return Entry{
      face,
      in,
      {origin.x + direction.x * in, origin.y + direction.y * in, origin.z + direction.z * in}};
}

// The line of sight in the axes of the object.
struct LocalRay {
  Vector origin;
  Vector direction;
};

LocalRay to_local(const World& world, const Object& object, Sight sight) {
  const auto turn = [&](float x, float z) {
    return std::array<float, 2>{x * object.forward_z - z * object.forward_x,
                                x * object.forward_x + z * object.forward_z};
  };
  const auto origin = turn(-object.x, -object.z);
  const auto direction = turn(sight.x, 1);
  return {{origin[0], world.camera.height_m, origin[1]}, {direction[0], sight.y, direction[1]}};
}

// Light on a face, from its normal in the object's axes.
Colour light_on(const World& world, const Object& object, Vector normal) {
  const Weather& weather = world.weather;
  const float length = std::sqrt(dot(normal, normal));
  const float x = normal.x * object.forward_z + normal.z * object.forward_x;
  const float z = normal.z * object.forward_z - normal.x * object.forward_x;
  const float towards = (x * weather.sun_x + normal.y * weather.sun_y + z * weather.sun_z) / length;
  return weather.ambient * (0.82F + 0.18F * normal.y / length) +
         weather.sun * (weather.direct * std::max(towards, 0.0F));
}

bool within(float low, float high, float x) { return x >= low && x <= high; }

// The lower body of a vehicle. Nothing where one looks through under the sill.
std::optional<Colour> lower_paint(const Object& object, const Entry& entry, float half_width,
                                  float half_length, float top) {
  const Vector p = entry.point;
  const bool is_side = entry.face == kRight || entry.face == kLeft;
  const float radius = object.kind == Kind::kTruck ? 0.48F : 0.33F;
  if (is_side) {
    for (const float wheel : {-half_length * 0.62F, half_length * 0.64F}) {
      const float dz = p.z - wheel;
      const float dy = p.y - radius;
      const float distance = dz * dz + dy * dy;
      if (distance < radius * radius) {
        return distance < radius * radius * 0.3F ? Colour{0.5F, 0.5F, 0.52F} : kRubber;
      }
    }
    if (p.y < 0.24F) {
      return std::nullopt;
    }
    return p.y < 0.34F ? kRubber : object.paint;
  }
  if (entry.face == kLid) {
    return object.paint;
  }
  const float aside = std::abs(p.x);
  if (p.y < 0.24F) {
    return within(half_width - 0.32F, half_width - 0.06F, aside) ? std::optional(kRubber)
                                                                 : std::nullopt;
  }
  const bool lamp = within(half_width - 0.42F, half_width - 0.08F, aside) &&
                    within(top - 0.32F, top - 0.12F, p.y);
  if (entry.face == kRear) {
    if (lamp) {
      return Colour{0.75F, 0.06F, 0.05F};
    }
  } else if (lamp) {
    return Colour{1.0F, 0.98F, 0.9F};
  } else if (aside < half_width * 0.5F && within(0.48F, top - 0.12F, p.y)) {
    return Colour{0.1F, 0.1F, 0.11F};
  }
  if (aside < 0.26F && within(0.42F, 0.54F, p.y)) {
    return Colour{0.9F, 0.9F, 0.85F};
  }
  return p.y < 0.4F ? Colour{0.16F, 0.16F, 0.17F} : object.paint;
}

// Glass with a frame round it, on the faces of a cabin.
Colour cabin_paint(const Object& object, const Entry& entry, float half_width, float base,
                   float top) {
  const Vector p = entry.point;
  const float share = (p.y - base) / (top - base);
  if (entry.face == kLid || !within(0.12F, 0.86F, share)) {
    return object.paint;
  }
  if (entry.face == kFront || entry.face == kRear) {
    const bool blind = object.kind == Kind::kVan && entry.face == kRear && share < 0.35F;
    return std::abs(p.x) < half_width * (0.9F - 0.2F * share) && !blind ? kGlass : object.paint;
  }
  if (object.kind == Kind::kVan && p.z < object.length * 0.1F) {
    return object.paint;
  }
  return std::abs(p.z + 0.1F) < 0.06F ? object.paint : kGlass;
}

// The wheel and engine part and the part above it.
struct VehicleShape {
  float lower_top = 0;
  float upper_top = 0;
  float upper_front = 0, upper_rear = 0;
  float lean_side = 0, lean_front = 0, lean_rear = 0;
};

VehicleShape shape_of(const Object& object) {
  const float half = object.length / 2;
  switch (object.kind) {
    case Kind::kVan:
      return {object.height * 0.46F, object.height, half - 0.5F, half - 0.04F, 0.08F, 0.7F, 0.05F};
    case Kind::kTruck: return {1.0F, object.height, half, half, 0, 0.02F, 0};
    default:
      return {object.height * 0.6F, object.height, half * 0.45F, half * 0.8F, 0.3F, 1.1F, 0.7F};
  }
}

Colour truck_paint(const Object& object, const Entry& entry, float half_length) {
  const Vector p = entry.point;
  const float cab = half_length - 1.9F;
  if (entry.face == kFront) {
    return within(1.5F, 2.4F, p.y) && std::abs(p.x) < 1.05F ? kGlass : object.paint;
  }
  if (entry.face == kRear) {
    const bool seam = std::abs(p.x) < 0.03F || std::abs(p.x) > 1.12F || p.y < 1.1F;
    return seam ? Colour{0.3F, 0.3F, 0.32F} : object.second;
  }
  if (p.z > cab) {
    const bool window = within(1.5F, 2.3F, p.y) && within(cab + 0.5F, cab + 1.4F, p.z);
    return entry.face != kLid && window ? kGlass : object.paint;
  }
  return p.z > cab - 0.15F ? Colour{0.12F, 0.12F, 0.12F} : object.second;
}

Colour glass_with_sky(const World& world, Colour colour, const Entry& entry) {
  const bool is_glass = colour.red == kGlass.red && colour.blue == kGlass.blue;
  const float shine = entry.face == kFront || entry.face == kRear ? 0.3F : 0.18F;
  return is_glass ? mix(colour, world.weather.horizon, shine) : colour;
}

}  // namespace

std::optional<Hit> look_at_vehicle(const World& world, const Object& object, Sight sight) {
  const LocalRay ray = to_local(world, object, sight);
  const float half_width = object.width / 2;
  const float half_length = object.length / 2;
  const VehicleShape shape = shape_of(object);
  const Body lower =
      make_body(half_width, half_length, half_length, 0, shape.lower_top, 0.02F, 0.06F, 0.03F);
  const Body upper =
      make_body(half_width - 0.02F, shape.upper_front, shape.upper_rear, shape.lower_top,
                shape.upper_top, shape.lean_side, shape.lean_front, shape.lean_rear);
  std::optional<Hit> nearest;
  if (const auto entry = enter(lower, ray.origin, ray.direction)) {
    if (const auto paint = lower_paint(object, *entry, half_width, half_length, shape.lower_top)) {
      const Colour light = light_on(world, object, lower[entry->face].normal);
      nearest = Hit{*paint * light, entry->depth};
    }
  }
  if (const auto entry = enter(upper, ray.origin, ray.direction);
      entry && (!nearest || entry->depth < nearest->depth_m)) {
    const Colour paint =
        object.kind == Kind::kTruck
            ? truck_paint(object, *entry, half_length)
            : cabin_paint(object, *entry, half_width, shape.lower_top, shape.upper_top);
    const Colour light = light_on(world, object, upper[entry->face].normal);
    nearest = Hit{glass_with_sky(world, paint, *entry) * light, entry->depth};
  }
  return nearest;
}

std::optional<Hit> look_at_house(const World& world, const Object& object, Sight sight) {
  const LocalRay ray = to_local(world, object, sight);
  const float half_width = object.width / 2;
  const float half_length = object.length / 2;
  const bool flat = object.phase < 0.4F;
  const float eaves = flat ? object.height : object.height * 0.7F;
  const Body walls = make_body(half_width, half_length, half_length, 0, eaves, 0, 0, 0);
  std::optional<Hit> nearest;
  if (const auto entry = enter(walls, ray.origin, ray.direction)) {
    const Vector p = entry->point;
    const bool is_side = entry->face == kRight || entry->face == kLeft;
    const float along = (is_side ? p.z + half_length : p.x + half_width) / 2.3F;
    const float up = p.y / 2.8F;
    const float u = along - static_cast<float>(floor_int(along));
    const float v = up - static_cast<float>(floor_int(up));
    const bool window = entry->face != kLid && within(0.28F, 0.72F, u) && within(0.35F, 0.8F, v) &&
                        up * 2.8F < eaves - 0.5F;
    const float stain = 0.9F + 0.2F * noise(along * 1.5F, up * 2, object.seed);
    const Colour paint = window ? object.second : object.paint * stain;
    nearest = Hit{paint * light_on(world, object, walls[entry->face].normal), entry->depth};
  }
  if (!flat) {
    // A ridge along z: the two long sides lean inwards until they meet.
    const float steep = (half_width + 0.3F) / (object.height - eaves);
    const Body roof = make_body(half_width + 0.3F, half_length + 0.2F, half_length + 0.2F, eaves,
                                object.height, steep, 0, 0);
    const auto entry = enter(roof, ray.origin, ray.direction);
    if (entry && (!nearest || entry->depth < nearest->depth_m)) {
      const bool gable = entry->face == kFront || entry->face == kRear;
      const bool soffit = entry->face == kFloor;
      const Colour tiles = mix(Colour{0.5F, 0.24F, 0.18F}, Colour{0.3F, 0.3F, 0.33F}, object.phase);
      const Colour paint = soffit ? object.paint * 0.5F : gable ? object.paint * 0.95F : tiles;
      nearest = Hit{paint * light_on(world, object, roof[entry->face].normal), entry->depth};
    }
  }
  return nearest;
}

}  // namespace reprise::engine::roads
