#include "engine/data/image.h"

#include "ckpt/base/error.h"

namespace reprise::engine {

Image make_image(int height, int width, int channels) {
  if (height <= 0 || width <= 0 || (channels != 1 && channels != 3)) {
    fail(Code::kInternal, "an image of {} x {} pixels and {} channels was asked for", width, height,
         channels);
  }
  Image image{height, width, channels, {}};
  image.pixels.resize(image.bytes());
  return image;
}

}  // namespace reprise::engine
