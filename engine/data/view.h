// Views: from a decoded image to the normalised float planes a model sees.
#pragma once

#include "engine/data/dataset.h"
#include "engine/random/stream.h"

#include <cstdint>
#include <span>

namespace reprise::engine {

// Random changes of training images. All off by default: that is evaluation, where an image
// is scaled so that it covers the view and cut at the centre. Probabilities are in [0, 1].
// Applied in the order of the fields.
struct Augmentation {
  // Cut a random part covering this share of the area, at this ratio of sides, and scale it
  // to the view (Inception's, as in torchvision). Off when max is 0. Excludes crop_padding.
  float area_min = 0;
  float area_max = 0;
  float ratio_min = 3.0F / 4;
  float ratio_max = 4.0F / 3;
  // Shift by up to so many pixels with black beyond the border (CIFAR's crop).
  int crop_padding = 0;
  // Mirror left-right. Has no effect where the set's MirrorRule is kForbids; negates every
  // target value where it is kNegates.
  float mirror = 0;
  // With probability `jitter`: brightness, contrast, saturation factors drawn from
  // [1 - x, 1 + x], hue turned by up to x of a full circle; in an order drawn too.
  float jitter = 0;
  float brightness = 0;
  float contrast = 0;
  float saturation = 0;
  float hue = 0;
  float grey = 0;
  // Gaussian with sigma in [0.1, 2] pixels; invert values over 127.
  float blur = 0;
  float solarise = 0;

  bool operator==(const Augmentation&) const = default;
};

// The usual augmentation of supervised training: for images up to 64 pixels a shift by an
// eighth of the side and, where the set allows it, a mirror; for larger ones a random resized
// crop of 8 to 100 % of the area and a mirror. Regression: brightness and contrast only, and
// a mirror where it negates the target.
Augmentation usual_augmentation(const Dataset& dataset, ImageSize size);

// One picture a sample is turned into: supervised training has one view, self-distillation
// has several of different sizes.
struct View {
  ImageSize size;
  int channels = 3;
  Normalisation normalisation;
  Augmentation augmentation;

  std::size_t floats() const {
    return static_cast<std::size_t>(channels) * static_cast<std::size_t>(size.height) *
           static_cast<std::size_t>(size.width);
  }
};

// Renders `view` of `image` into `planes` [channels, height, width], drawing from `stream`
// only, so the result is a pure function of its arguments. Returns whether it was mirrored.
// Thread-safe. About 15 us for 32 x 32. Errors: kInternal when `planes` has another size.
bool render_view(const Image& image, const View& view, MirrorRule mirror, Stream stream,
                 std::span<float> planes);

}  // namespace reprise::engine
