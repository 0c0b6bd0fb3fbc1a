#include "engine/data/resize.h"

#include "ckpt/base/error.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace reprise::engine {
namespace {

// Weights are fixed-point numbers with so many fraction bits (Pillow, Resample.c).
constexpr int kFractionBits = 22;
constexpr std::int32_t kHalf = 1 << (kFractionBits - 1);

// For each output place: the first input it takes from, and its weights.
struct Kernel {
  std::vector<int> first;
  std::vector<int> count;
  std::vector<std::int32_t> weights;  // [outputs, stride]
  int stride = 0;
};

Kernel triangle_kernel(int inputs, int outputs) {
  const double scale = static_cast<double>(inputs) / outputs;
  const double widening = std::max(scale, 1.0);
  const double support = widening;
  Kernel kernel;
  const int whole = static_cast<int>(support);
  kernel.stride = (whole + (support > whole ? 1 : 0)) * 2 + 1;
  kernel.first.resize(static_cast<std::size_t>(outputs));
  kernel.count.resize(static_cast<std::size_t>(outputs));
  kernel.weights.resize(static_cast<std::size_t>(outputs) *
                        static_cast<std::size_t>(kernel.stride));
  std::vector<double> weights(static_cast<std::size_t>(kernel.stride));
  for (int place = 0; place < outputs; ++place) {
    const double centre = (place + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(centre - support + 0.5));
    const int end = std::min(inputs, static_cast<int>(centre + support + 0.5));
    double total = 0;
    for (int i = first; i < end; ++i) {
      const double distance = (i - centre + 0.5) * (1.0 / widening);
      const double weight = std::max(0.0, 1.0 - (distance < 0 ? -distance : distance));
      weights[static_cast<std::size_t>(i - first)] = weight;
      total += weight;
    }
    const auto at = static_cast<std::size_t>(place);
    kernel.first[at] = first;
    kernel.count[at] = end - first;
    for (int i = 0; i < end - first; ++i) {
      const double weight = weights[static_cast<std::size_t>(i)] / total;
      kernel.weights[at * static_cast<std::size_t>(kernel.stride) + static_cast<std::size_t>(i)] =
          static_cast<std::int32_t>(0.5 + weight * (1 << kFractionBits));
    }
  }
  return kernel;
}

std::uint8_t to_pixel(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> kFractionBits, 0, 255));
}

template <std::size_t kChannels>
void scale_row(const std::uint8_t* from, const Kernel& kernel, std::uint8_t* to) {
  for (std::size_t x = 0; x < kernel.first.size(); ++x) {
    const std::int32_t* weights =
        kernel.weights.data() + x * static_cast<std::size_t>(kernel.stride);
    const std::uint8_t* pixel = from + static_cast<std::size_t>(kernel.first[x]) * kChannels;
    std::array<std::int32_t, kChannels> sums;
    sums.fill(kHalf);
    for (int i = 0; i < kernel.count[x]; ++i, pixel += kChannels) {
      for (std::size_t channel = 0; channel < kChannels; ++channel) {
        sums[channel] += pixel[channel] * weights[i];
      }
    }
    for (const std::int32_t sum : sums) {
      *to++ = to_pixel(sum);
    }
  }
}

Image copy_region(const Image& image, Region region) {
  Image copy = make_image(region.height, region.width, image.channels);
  for (int y = 0; y < region.height; ++y) {
    const std::uint8_t* from = image.row(region.top + y) + region.left * image.channels;
    std::copy_n(from, region.width * image.channels, copy.row(y));
  }
  return copy;
}

Image scale_width(const Image& image, Region region, int width) {
  const Kernel kernel = triangle_kernel(region.width, width);
  Image scaled = make_image(region.height, width, image.channels);
  for (int y = 0; y < region.height; ++y) {
    const std::uint8_t* from = image.row(region.top + y) + region.left * image.channels;
    if (image.channels == 3) {
      scale_row<3>(from, kernel, scaled.row(y));
    } else {
      scale_row<1>(from, kernel, scaled.row(y));
    }
  }
  return scaled;
}

Image scale_height(const Image& image, int height) {
  const Kernel kernel = triangle_kernel(image.height, height);
  Image scaled = make_image(height, image.width, image.channels);
  const int row_bytes = image.width * image.channels;
  std::vector<std::int32_t> sums(static_cast<std::size_t>(row_bytes));
  for (int y = 0; y < height; ++y) {
    const auto at = static_cast<std::size_t>(y);
    std::fill(sums.begin(), sums.end(), kHalf);
    for (int i = 0; i < kernel.count[at]; ++i) {
      const std::int32_t weight =
          kernel
              .weights[at * static_cast<std::size_t>(kernel.stride) + static_cast<std::size_t>(i)];
      const std::uint8_t* from = image.row(kernel.first[at] + i);
      for (int x = 0; x < row_bytes; ++x) {
        sums[static_cast<std::size_t>(x)] += from[x] * weight;
      }
    }
    std::transform(sums.begin(), sums.end(), scaled.row(y), to_pixel);
  }
  return scaled;
}

}  // namespace

Image resize(const Image& image, Region region, ImageSize size) {
  if (region.left < 0 || region.top < 0 || region.width <= 0 || region.height <= 0 ||
      region.left > image.width - region.width || region.top > image.height - region.height) {
    fail(Code::kInternal, "region {}x{}+{}+{} of an image of {}x{} was asked for", region.width,
         region.height, region.left, region.top, image.width, image.height);
  }
  // Width first, then height, each only where it changes: the order decides how values round.
  Image result = region.width == size.width ? copy_region(image, region)
                                            : scale_width(image, region, size.width);
  return region.height == size.height ? result : scale_height(result, size.height);
}

Image resize(const Image& image, ImageSize size) {
  return resize(image, {0, 0, image.width, image.height}, size);
}

}  // namespace reprise::engine
