// Colour changes of augmentation, on float planes with values 0 .. 255.
#pragma once

#include "engine/random/stream.h"

#include <span>

namespace reprise::engine {

// One picture as planes [channels, height, width], channels 1 or 3, changed in place.
// Every function is deterministic on every machine and costs about 1-20 ns a pixel.
struct Planes {
  std::span<float> values;
  int channels = 0;
  int height = 0;
  int width = 0;

  std::size_t pixels() const {
    return static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  }
  std::span<float> plane(int channel) const {
    return values.subspan(static_cast<std::size_t>(channel) * pixels(), pixels());
  }
};

// The definitions of torchvision's adjust_* on tensors, except that results are not rounded
// between steps: a blend with black, with the mean grey, with each pixel's grey; the hue turned
// by `turn` of a full circle. Saturation and hue leave a grey picture as it is.
void adjust_brightness(const Planes& planes, float factor);
void adjust_contrast(const Planes& planes, float factor);
void adjust_saturation(const Planes& planes, float factor);
void adjust_hue(const Planes& planes, float turn);
// Rec. 601 luma in all channels.
void make_grey(const Planes& planes);
// Inverts values over 127.
void solarise(const Planes& planes);
// Gaussian of deviation `sigma` pixels, cut off at 3 sigma; the border is repeated.
void blur(const Planes& planes, float sigma);

}  // namespace reprise::engine
