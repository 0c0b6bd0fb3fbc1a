#include "engine/data/digits.h"

#include "ckpt/base/error.h"
#include "engine/random/stable_math.h"
#include "engine/random/stream.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace reprise::engine::digits {
namespace {

constexpr std::uint64_t kDigitsSet = 2;

struct Point {
  float x = 0;
  float y = 0;
};
using Stroke = std::vector<Point>;

// Control points of the strokes in a box of 1 x 1, y downwards. A curve runs through them.
const std::vector<Stroke>& strokes_of(int digit) {
  static const std::array<std::vector<Stroke>, 10> kStrokes{{
      {{{0.5F, 0.05F},
        {0.24F, 0.18F},
        {0.18F, 0.5F},
        {0.26F, 0.84F},
        {0.5F, 0.95F},
        {0.75F, 0.83F},
        {0.82F, 0.5F},
        {0.75F, 0.17F},
        {0.5F, 0.05F}}},
      {{{0.3F, 0.24F}, {0.42F, 0.16F}, {0.54F, 0.05F}},
       {{0.54F, 0.05F}, {0.54F, 0.5F}, {0.54F, 0.95F}}},
      {{{0.2F, 0.24F},
        {0.34F, 0.07F},
        {0.6F, 0.05F},
        {0.78F, 0.22F},
        {0.7F, 0.46F},
        {0.45F, 0.7F},
        {0.2F, 0.94F}},
       {{0.2F, 0.94F}, {0.5F, 0.94F}, {0.82F, 0.94F}}},
      {{{0.22F, 0.14F}, {0.45F, 0.04F}, {0.72F, 0.13F}, {0.72F, 0.34F}, {0.44F, 0.48F}},
       {{0.44F, 0.48F},
        {0.72F, 0.56F},
        {0.8F, 0.75F},
        {0.62F, 0.93F},
        {0.36F, 0.95F},
        {0.18F, 0.84F}}},
      {{{0.62F, 0.05F}, {0.4F, 0.35F}, {0.16F, 0.65F}},
       {{0.16F, 0.65F}, {0.5F, 0.65F}, {0.86F, 0.65F}},
       {{0.64F, 0.38F}, {0.64F, 0.66F}, {0.62F, 0.95F}}},
      {{{0.76F, 0.06F}, {0.52F, 0.06F}, {0.3F, 0.06F}},
       {{0.3F, 0.06F}, {0.27F, 0.25F}, {0.25F, 0.44F}},
       {{0.25F, 0.44F},
        {0.5F, 0.38F},
        {0.75F, 0.5F},
        {0.78F, 0.74F},
        {0.6F, 0.93F},
        {0.36F, 0.95F},
        {0.18F, 0.85F}}},
      {{{0.68F, 0.05F},
        {0.42F, 0.2F},
        {0.24F, 0.5F},
        {0.22F, 0.76F},
        {0.4F, 0.94F},
        {0.64F, 0.93F},
        {0.78F, 0.75F},
        {0.68F, 0.55F},
        {0.46F, 0.5F},
        {0.25F, 0.64F}}},
      {{{0.16F, 0.07F}, {0.5F, 0.07F}, {0.82F, 0.07F}},
       {{0.82F, 0.07F}, {0.6F, 0.45F}, {0.42F, 0.95F}}},
      {{{0.5F, 0.47F},
        {0.27F, 0.36F},
        {0.28F, 0.14F},
        {0.5F, 0.05F},
        {0.72F, 0.14F},
        {0.73F, 0.35F},
        {0.5F, 0.47F},
        {0.24F, 0.62F},
        {0.22F, 0.85F},
        {0.5F, 0.95F},
        {0.78F, 0.85F},
        {0.76F, 0.62F},
        {0.5F, 0.47F}}},
      {{{0.74F, 0.36F},
        {0.54F, 0.5F},
        {0.32F, 0.45F},
        {0.24F, 0.26F},
        {0.36F, 0.08F},
        {0.6F, 0.06F},
        {0.74F, 0.22F},
        {0.75F, 0.5F},
        {0.64F, 0.95F}}},
  }};
  return kStrokes[static_cast<std::size_t>(digit)];
}

// Points on the Catmull-Rom curve through the control points.
Stroke curve_through(const Stroke& control) {
  constexpr int kSteps = 5;
  const auto count = static_cast<int>(control.size());
  const auto at = [&](int i) {
    return control[static_cast<std::size_t>(std::clamp(i, 0, count - 1))];
  };
  Stroke curve;
  for (int i = 0; i + 1 < count; ++i) {
    const Point a = at(i - 1), b = at(i), c = at(i + 1), d = at(i + 2);
    for (int step = 0; step < kSteps; ++step) {
      const float t = static_cast<float>(step) / kSteps;
      const auto blend = [t](float p, float q, float r, float s) {
        return 0.5F * (2 * q +
                       t * (r - p + t * (2 * p - 5 * q + 4 * r - s + t * (3 * q - p - 3 * r + s))));
      };
      curve.push_back({blend(a.x, b.x, c.x, d.x), blend(a.y, b.y, c.y, d.y)});
    }
  }
  curve.push_back(control.back());
  return curve;
}

// Turned, sheared, scaled and moved about the centre of the picture.
struct Hand {
  float xx = 1, xy = 0, yx = 0, yy = 1;
  float dx = 0, dy = 0;

  Point place(Point p) const {
    const float x = p.x - 0.5F;
    const float y = p.y - 0.5F;
    return {0.5F + dx + xx * x + xy * y, 0.5F + dy + yx * x + yy * y};
  }
};

Hand draw_hand(Stream& stream) {
  const auto angle = static_cast<double>(stream.uniform(-0.3F, 0.3F));
  const auto cosine = static_cast<float>(stable_cos(angle));
  const auto sine = static_cast<float>(stable_sin(angle));
  const float shear = stream.uniform(-0.25F, 0.25F);
  const float width = stream.uniform(0.5F, 0.75F);
  const float height = stream.uniform(0.6F, 0.82F);
  Hand hand;
  hand.xx = cosine * width;
  hand.xy = (cosine * shear - sine) * height;
  hand.yx = sine * width;
  hand.yy = (sine * shear + cosine) * height;
  hand.dx = stream.uniform(-0.09F, 0.09F);
  hand.dy = stream.uniform(-0.08F, 0.08F);
  return hand;
}

float distance_to(const Stroke& curve, Point p) {
  float least = 1e9F;
  for (std::size_t i = 0; i + 1 < curve.size(); ++i) {
    const float dx = curve[i + 1].x - curve[i].x;
    const float dy = curve[i + 1].y - curve[i].y;
    const float px = p.x - curve[i].x;
    const float py = p.y - curve[i].y;
    const float length = dx * dx + dy * dy;
    const float t = length > 0 ? std::clamp((px * dx + py * dy) / length, 0.0F, 1.0F) : 0.0F;
    const float ex = px - t * dx;
    const float ey = py - t * dy;
    least = std::min(least, ex * ex + ey * ey);
  }
  return std::sqrt(least);
}

}  // namespace

int label(std::uint64_t index) {
  // Each ten in an order of their own.
  Stream stream(0, Domain::kGenerated, {kDigitsSet, 0, index / 10});
  return static_cast<int>(permutation(stream, 10)[index % 10]);
}

Image render(std::uint64_t index, int side) {
  constexpr int kSmallest = 12;
  constexpr int kLargest = 1024;
  if (side < kSmallest || side > kLargest) {
    fail(Code::kUsage, "builtin:digits cannot be drawn {} pixels wide: give a side from {} to {}",
         side, kSmallest, kLargest);
  }
  Stream stream(0, Domain::kGenerated, {kDigitsSet, 1, index});
  const Hand hand = draw_hand(stream);
  const float pen = stream.uniform(0.028F, 0.07F);
  const bool inverted = stream.chance(0.3);
  const float ink = stream.uniform(0.65F, 1.0F);
  const float ground = stream.uniform(0.0F, 0.25F);
  const float slope_x = stream.uniform(-0.15F, 0.15F);
  const float slope_y = stream.uniform(-0.15F, 0.15F);
  const float grain = stream.uniform(0.0F, 0.09F);
  std::vector<Stroke> curves;
  for (const Stroke& control : strokes_of(label(index))) {
    Stroke bent;
    for (const Point p : control) {
      bent.push_back(hand.place(
          {p.x + stream.uniform(-0.035F, 0.035F), p.y + stream.uniform(-0.035F, 0.035F)}));
    }
    curves.push_back(curve_through(bent));
  }
  Stream noise(0, Domain::kGenerated, {kDigitsSet, 2, index});
  Image image = make_image(side, side, 1);
  const float pixel = 1.0F / static_cast<float>(side);
  for (int y = 0; y < side; ++y) {
    std::uint8_t* row = image.row(y);
    for (int x = 0; x < side; ++x) {
      const Point p{(static_cast<float>(x) + 0.5F) * pixel, (static_cast<float>(y) + 0.5F) * pixel};
      float distance = 1e9F;
      for (const Stroke& curve : curves) {
        distance = std::min(distance, distance_to(curve, p));
      }
      const float share = std::clamp((pen - distance) / pixel + 0.5F, 0.0F, 1.0F);
      float level = ground + slope_x * (p.x - 0.5F) + slope_y * (p.y - 0.5F);
      level += (ink - level) * share + grain * noise.normal();
      level = std::clamp(inverted ? 1 - level : level, 0.0F, 1.0F);
      row[x] = static_cast<std::uint8_t>(level * 255 + 0.5F);
    }
  }
  return image;
}

}  // namespace reprise::engine::digits
