// Colours, noise and anti-aliased edges: what every part of a road scene is drawn with.
//
// Plain float arithmetic in a fixed order and integer hashes, no libm: the same bytes on
// every machine. All of it is inline, a few ns a call.
#pragma once

#include <algorithm>
#include <cstdint>

namespace reprise::engine::roads {

// Linear combinations of display values; 0 .. 1 is what a pixel can show.
struct Colour {
  float red = 0;
  float green = 0;
  float blue = 0;

  friend constexpr Colour operator+(Colour a, Colour b) {
    return {a.red + b.red, a.green + b.green, a.blue + b.blue};
  }
  friend constexpr Colour operator*(Colour a, float factor) {
    return {a.red * factor, a.green * factor, a.blue * factor};
  }
  friend constexpr Colour operator*(Colour a, Colour b) {
    return {a.red * b.red, a.green * b.green, a.blue * b.blue};
  }
};

inline Colour mix(Colour from, Colour to, float share) { return from * (1 - share) + to * share; }
inline float mix(float from, float to, float share) { return from + (to - from) * share; }
inline float clamp01(float x) { return std::clamp(x, 0.0F, 1.0F); }

// 0 below `low`, 1 above `high`, smooth between.
inline float smooth_step(float low, float high, float x) {
  const float t = clamp01((x - low) / (high - low));
  return t * t * (3 - 2 * t);
}

// Share of the interval of length `footprint` around x that lies in [low, high].
inline float coverage(float low, float high, float x, float footprint) {
  const float begin = std::max(low, x - footprint / 2);
  const float end = std::min(high, x + footprint / 2);
  return clamp01((end - begin) / footprint);
}

inline std::int32_t floor_int(float x) {
  const auto whole = static_cast<std::int32_t>(x);
  return whole - (static_cast<float>(whole) > x ? 1 : 0);
}

// Uniform in [0, 1) for a lattice point.
inline float lattice(std::int32_t x, std::int32_t y, std::uint32_t seed) {
  std::uint32_t h = static_cast<std::uint32_t>(x) * 0x9E3779B1U ^
                    static_cast<std::uint32_t>(y) * 0x85EBCA77U ^ seed * 0xC2B2AE3DU;
  h ^= h >> 15;
  h *= 0x2C1B3C6DU;
  h ^= h >> 12;
  h *= 0x297A2D39U;
  h ^= h >> 15;
  return static_cast<float>(h >> 8) * 0x1p-24F;
}

// Value noise in [0, 1) with features of size 1.
inline float noise(float x, float y, std::uint32_t seed) {
  const std::int32_t left = floor_int(x);
  const std::int32_t top = floor_int(y);
  const float u = x - static_cast<float>(left);
  const float v = y - static_cast<float>(top);
  const float su = u * u * (3 - 2 * u);
  const float sv = v * v * (3 - 2 * v);
  const float above = mix(lattice(left, top, seed), lattice(left + 1, top, seed), su);
  const float below = mix(lattice(left, top + 1, seed), lattice(left + 1, top + 1, seed), su);
  return mix(above, below, sv);
}

// Sum of `octaves` noises of halving size and weight, in [0, 1).
inline float fractal_noise(float x, float y, std::uint32_t seed, int octaves) {
  float sum = 0;
  float weight = 0.5F;
  float total = 0;
  for (int i = 0; i < octaves; ++i) {
    sum += weight * noise(x, y, seed + static_cast<std::uint32_t>(i));
    total += weight;
    weight *= 0.5F;
    x *= 2.03F;
    y *= 2.03F;
  }
  return sum / total;
}

}  // namespace reprise::engine::roads
