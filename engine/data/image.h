// A decoded picture: 8 bits a channel, rows top to bottom, channels interleaved.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace reprise::engine {

struct ImageSize {
  int height = 0;
  int width = 0;
  bool operator==(const ImageSize&) const = default;
};

// A value. `pixels` holds height * width * channels bytes, channels 1 (grey) or 3 (RGB).
struct Image {
  int height = 0;
  int width = 0;
  int channels = 0;
  std::vector<std::uint8_t> pixels;

  ImageSize size() const { return {height, width}; }
  std::size_t bytes() const {
    return static_cast<std::size_t>(height) * static_cast<std::size_t>(width) *
           static_cast<std::size_t>(channels);
  }
  const std::uint8_t* row(int y) const {
    return pixels.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(width) *
                               static_cast<std::size_t>(channels);
  }
  std::uint8_t* row(int y) {
    return const_cast<std::uint8_t*>(static_cast<const Image&>(*this).row(y));
  }
};

// Black, of the given shape. Errors: kInternal for a shape that is not positive.
Image make_image(int height, int width, int channels);

}  // namespace reprise::engine
