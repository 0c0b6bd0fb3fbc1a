// Scaling of images, byte for byte as Pillow does it.
#pragma once

#include "engine/data/image.h"

namespace reprise::engine {

// A rectangle of pixels: [left, left + width) x [top, top + height).
struct Region {
  int left = 0;
  int top = 0;
  int width = 0;
  int height = 0;
};

// `region` of `image` scaled to exactly `size` with a triangle filter that widens when
// shrinking: the same bytes as image.crop(region).resize(size, BILINEAR) of Pillow 3 to 12, which
// is what torchvision's transforms call (Pillow 13 sometimes does height before width, which
// rounds differently). Deterministic on every machine. Cost: one pass over the
// region, one over the result, about 3 ns a pixel and channel.
// Errors: kInternal when `region` is empty or not inside `image`.
Image resize(const Image& image, Region region, ImageSize size);
Image resize(const Image& image, ImageSize size);

}  // namespace reprise::engine
