#include "engine/data/colour.h"

#include "engine/random/stable_math.h"

#include <algorithm>
#include <array>
#include <vector>

namespace reprise::engine {
namespace {

float clamp_level(float level) { return std::clamp(level, 0.0F, 255.0F); }

// ITU-R BT.601, the weights of Pillow's convert("L").
float luma(float red, float green, float blue) {
  return 0.299F * red + 0.587F * green + 0.114F * blue;
}

std::vector<float> grey_of(const Planes& planes) {
  const auto red = planes.plane(0);
  if (planes.channels == 1) {
    return {red.begin(), red.end()};
  }
  const auto green = planes.plane(1);
  const auto blue = planes.plane(2);
  std::vector<float> grey(planes.pixels());
  for (std::size_t i = 0; i < grey.size(); ++i) {
    grey[i] = luma(red[i], green[i], blue[i]);
  }
  return grey;
}

std::array<float, 3> turn_hue(float red, float green, float blue, float turn) {
  const float high = std::max({red, green, blue});
  const float low = std::min({red, green, blue});
  const float range = high - low;
  if (range <= 0) {
    return {red, green, blue};
  }
  // Hue in sixths of a circle, from red.
  float hue = high == red     ? (green - blue) / range
              : high == green ? 2.0F + (blue - red) / range
                              : 4.0F + (red - green) / range;
  hue += turn * 6.0F;
  while (hue < 0.0F) {
    hue += 6.0F;
  }
  while (hue >= 6.0F) {
    hue -= 6.0F;
  }
  const int sixth = static_cast<int>(hue);
  const float part = hue - static_cast<float>(sixth);
  const float rising = low + range * part;
  const float falling = high - range * part;
  switch (sixth) {
    case 0: return {high, rising, low};
    case 1: return {falling, high, low};
    case 2: return {low, high, rising};
    case 3: return {low, falling, high};
    case 4: return {rising, low, high};
    default: return {high, low, falling};
  }
}

// One pass of a separable filter over `lines` lines of `length` values; `step` and `stride`
// say how far apart neighbours in a line, and lines, are.
void filter_lines(std::span<float> plane, const std::vector<float>& kernel, int lines, int length,
                  int stride, int step) {
  const int radius = static_cast<int>(kernel.size()) / 2;
  std::vector<float> line(static_cast<std::size_t>(length + 2 * radius));
  for (int number = 0; number < lines; ++number) {
    const auto at = [&](int place) -> float& {
      return plane[static_cast<std::size_t>(number * stride + place * step)];
    };
    for (int i = 0; i < length + 2 * radius; ++i) {
      line[static_cast<std::size_t>(i)] = at(std::clamp(i - radius, 0, length - 1));
    }
    for (int i = 0; i < length; ++i) {
      float sum = 0;
      for (std::size_t k = 0; k < kernel.size(); ++k) {
        sum += kernel[k] * line[static_cast<std::size_t>(i) + k];
      }
      at(i) = sum;
    }
  }
}

}  // namespace

void adjust_brightness(const Planes& planes, float factor) {
  for (float& level : planes.values) {
    level = clamp_level(level * factor);
  }
}

void adjust_contrast(const Planes& planes, float factor) {
  double sum = 0;
  for (const float level : grey_of(planes)) {
    sum += level;
  }
  const auto mean = static_cast<float>(sum / static_cast<double>(planes.pixels()));
  for (float& level : planes.values) {
    level = clamp_level(mean + (level - mean) * factor);
  }
}

void adjust_saturation(const Planes& planes, float factor) {
  if (planes.channels == 1) {
    return;
  }
  const std::vector<float> grey = grey_of(planes);
  for (int channel = 0; channel < planes.channels; ++channel) {
    const auto plane = planes.plane(channel);
    for (std::size_t i = 0; i < grey.size(); ++i) {
      plane[i] = clamp_level(grey[i] + (plane[i] - grey[i]) * factor);
    }
  }
}

void adjust_hue(const Planes& planes, float turn) {
  if (planes.channels == 1) {
    return;
  }
  const auto red = planes.plane(0);
  const auto green = planes.plane(1);
  const auto blue = planes.plane(2);
  for (std::size_t i = 0; i < planes.pixels(); ++i) {
    const auto turned = turn_hue(red[i], green[i], blue[i], turn);
    red[i] = turned[0];
    green[i] = turned[1];
    blue[i] = turned[2];
  }
}

void make_grey(const Planes& planes) {
  const std::vector<float> grey = grey_of(planes);
  for (int channel = 0; channel < planes.channels; ++channel) {
    std::copy(grey.begin(), grey.end(), planes.plane(channel).begin());
  }
}

void solarise(const Planes& planes) {
  for (float& level : planes.values) {
    level = level > 127.0F ? 255.0F - level : level;
  }
}

void blur(const Planes& planes, float sigma) {
  const int radius = std::max(1, static_cast<int>(sigma * 3.0F + 0.999F));
  std::vector<float> kernel(static_cast<std::size_t>(2 * radius + 1));
  float total = 0;
  for (int i = -radius; i <= radius; ++i) {
    const double place = static_cast<double>(i) / static_cast<double>(sigma);
    const auto weight = static_cast<float>(stable_exp(std::max(-0.5 * place * place, -80.0)));
    kernel[static_cast<std::size_t>(i + radius)] = weight;
    total += weight;
  }
  for (float& weight : kernel) {
    weight /= total;
  }
  for (int channel = 0; channel < planes.channels; ++channel) {
    const auto plane = planes.plane(channel);
    filter_lines(plane, kernel, planes.height, planes.width, planes.width, 1);
    filter_lines(plane, kernel, planes.width, planes.height, 1, planes.width);
  }
}

}  // namespace reprise::engine
