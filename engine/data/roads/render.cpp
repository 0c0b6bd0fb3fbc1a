#include "ckpt/base/error.h"
#include "engine/data/roads.h"
#include "engine/data/roads/backdrop.h"
#include "engine/data/roads/objects.h"

#include <algorithm>

namespace reprise::engine::roads {
namespace {

void check_size(ImageSize size) {
  constexpr int kSmallest = 16;
  constexpr int kLargest = 4096;
  if (std::min(size.height, size.width) < kSmallest ||
      std::max(size.height, size.width) > kLargest) {
    fail(Code::kUsage, "builtin:roads cannot be drawn at {} x {} pixels: give sides from {} to {}",
         size.width, size.height, kSmallest, kLargest);
  }
}

Canvas paint(const World& world, ImageSize size) {
  check_size(size);
  Canvas canvas = paint_backdrop(world, size);
  paint_objects(world, canvas);
  return canvas;
}

// What the sensor makes of the light: exposure, darker corners, grain, eight bits.
Image develop(const World& world, const Canvas& canvas) {
  Image image = make_image(canvas.size.height, canvas.size.width, 3);
  for (int y = 0; y < image.height; ++y) {
    const float v = (static_cast<float>(y) + 0.5F) / static_cast<float>(image.height) - 0.5F;
    std::uint8_t* row = image.row(y);
    for (int x = 0; x < image.width; ++x) {
      const float u = (static_cast<float>(x) + 0.5F) / static_cast<float>(image.width) - 0.5F;
      const float light = world.weather.exposure * (1 - 0.3F * (u * u + v * v));
      const float grain = (lattice(x, y, world.seed + 1) + lattice(x, y, world.seed + 2) - 1) *
                          world.weather.grain * 2;
      const Colour colour = canvas.colour[canvas.at(x, y)] * light;
      const auto level = [&](float value) {
        return static_cast<std::uint8_t>(clamp01(value + grain) * 255 + 0.5F);
      };
      row[3 * x] = level(colour.red);
      row[3 * x + 1] = level(colour.green);
      row[3 * x + 2] = level(colour.blue);
    }
  }
  return image;
}

std::uint8_t thing_of(const Object& object) {
  if (object.kind <= Kind::kTruck) {
    return static_cast<std::uint8_t>(Thing::kCar);
  }
  return object.kind == Kind::kPedestrian ? static_cast<std::uint8_t>(Thing::kPedestrian) : 0;
}

// The visible bounds of each car and pedestrian, nearest first.
std::vector<Box> boxes_of(const World& world, const Canvas& canvas) {
  std::vector<Box> boxes(world.objects.size());
  std::vector<int> pixels(world.objects.size());
  for (int y = 0; y < canvas.size.height; ++y) {
    for (int x = 0; x < canvas.size.width; ++x) {
      const std::size_t number = canvas.object[canvas.at(x, y)];
      if (number == 0) {
        continue;
      }
      Box& box = boxes[number - 1];
      if (pixels[number - 1]++ == 0) {
        box.left = x;
        box.top = y;
      }
      box.left = std::min(box.left, x);
      box.right = std::max(box.right, x + 1);
      box.bottom = y + 1;
    }
  }
  constexpr int kLeastPixels = 2;
  std::vector<Box> seen;
  for (std::size_t i = world.objects.size(); i-- > 0;) {
    const std::uint8_t thing = thing_of(world.objects[i]);
    if (thing != 0 && pixels[i] >= kLeastPixels) {
      boxes[i].thing = static_cast<Thing>(thing);
      boxes[i].distance_m = world.objects[i].z;
      seen.push_back(boxes[i]);
    }
  }
  return seen;
}

}  // namespace

Scene render(std::uint64_t index, ImageSize size) {
  const World world = make_world(index);
  Canvas canvas = paint(world, size);
  Scene scene;
  scene.image = develop(world, canvas);
  scene.steering = steering_of(world.road);
  scene.thing.resize(canvas.object.size());
  std::transform(canvas.object.begin(), canvas.object.end(), scene.thing.begin(),
                 [&](std::uint16_t number) -> std::uint8_t {
                   return number == 0 ? 0 : thing_of(world.objects[number - 1U]);
                 });
  scene.boxes = boxes_of(world, canvas);
  scene.depth_m = std::move(canvas.depth_m);
  scene.drivable = std::move(canvas.drivable);
  return scene;
}

Frame render_image(std::uint64_t index, ImageSize size) {
  const World world = make_world(index);
  return {develop(world, paint(world, size)), steering_of(world.road)};
}

float steering(std::uint64_t index) { return steering_of(make_world(index).road); }

}  // namespace reprise::engine::roads
