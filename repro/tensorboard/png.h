// Pictures as PNG (ISO/IEC 15948), for event files.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace reprise::tensorboard {

// Eight bits a channel, row-major, channels interleaved: 1 is grey, 3 is RGB.
struct Picture {
  std::uint32_t width = 0, height = 0;
  std::uint32_t channels = 3;
  std::span<const std::uint8_t> pixels;  // width * height * channels
};

// Stored, not deflated: a few thumbnails are not worth a library. Cost: O(pixels).
// Errors: kInternal when the sizes do not fit the pixels.
std::string encode_png(const Picture& picture);

}  // namespace reprise::tensorboard
