#include "engine/data/view.h"

#include "ckpt/base/error.h"
#include "engine/data/colour.h"
#include "engine/data/resize.h"
#include "engine/random/stable_math.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace reprise::engine {
namespace {

int nearest(double x) { return static_cast<int>(x + 0.5); }

// The largest centred region with the sides' ratio of `size`.
Region centred_region(const Image& image, ImageSize size) {
  const auto wide = static_cast<std::int64_t>(image.width) * size.height;
  const auto high = static_cast<std::int64_t>(image.height) * size.width;
  Region region{0, 0, image.width, image.height};
  if (wide > high) {
    region.width = std::max(1, static_cast<int>(high / size.height));
  } else if (high > wide) {
    region.height = std::max(1, static_cast<int>(wide / size.width));
  }
  region.left = (image.width - region.width) / 2;
  region.top = (image.height - region.height) / 2;
  return region;
}

// torchvision's RandomResizedCrop: ten tries, else the centre.
Region random_region(const Image& image, const View& view, Stream& stream) {
  const Augmentation& how = view.augmentation;
  const double area = static_cast<double>(image.width) * image.height;
  const double log_low = stable_log(static_cast<double>(how.ratio_min));
  const double log_high = stable_log(static_cast<double>(how.ratio_max));
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double part = static_cast<double>(stream.uniform(how.area_min, how.area_max)) * area;
    const double ratio = stable_exp(log_low + (log_high - log_low) * stream.next_double());
    const int width = nearest(std::sqrt(part * ratio));
    const int height = nearest(std::sqrt(part / ratio));
    if (width > 0 && height > 0 && width <= image.width && height <= image.height) {
      const auto left = stream.below(static_cast<std::uint64_t>(image.width - width + 1));
      const auto top = stream.below(static_cast<std::uint64_t>(image.height - height + 1));
      return {static_cast<int>(left), static_cast<int>(top), width, height};
    }
  }
  return centred_region(image, view.size);
}

// Where the pixel (0, 0) of the view lies in the scaled image, which has the view's size.
struct Shift {
  int x = 0;
  int y = 0;
};

Shift random_shift(int padding, Stream& stream) {
  if (padding <= 0) {
    return {};
  }
  const auto places = static_cast<std::uint64_t>(2 * padding + 1);
  const int x = static_cast<int>(stream.below(places)) - padding;
  const int y = static_cast<int>(stream.below(places)) - padding;
  return {x, y};
}

using LevelTable = std::array<float, 256>;

LevelTable level_table(const Normalisation& normalisation, std::size_t channel) {
  LevelTable table;
  const float mean = normalisation.mean[channel];
  const float deviation = normalisation.deviation[channel];
  for (std::size_t level = 0; level < table.size(); ++level) {
    table[level] = (static_cast<float>(level) / 255.0F - mean) / deviation;
  }
  return table;
}

LevelTable plain_table() {
  LevelTable table;
  for (std::size_t level = 0; level < table.size(); ++level) {
    table[level] = static_cast<float>(level);
  }
  return table;
}

// One output plane from channel `channel` of `image`, shifted and maybe mirrored; beyond the
// border is level 0.
void write_plane(const Image& image, int channel, Shift shift, bool mirrored,
                 const LevelTable& table, std::span<float> plane) {
  const int channels = image.channels;
  for (int y = 0; y < image.height; ++y) {
    float* to = plane.data() + static_cast<std::ptrdiff_t>(y) * image.width;
    const int from_y = y + shift.y;
    if (from_y < 0 || from_y >= image.height) {
      std::fill_n(to, image.width, table[0]);
      continue;
    }
    const std::uint8_t* from = image.row(from_y) + channel;
    // Columns [begin, end) of the unmirrored view come out of the image.
    const int begin = std::clamp(-shift.x, 0, image.width);
    const int end = std::clamp(image.width - shift.x, 0, image.width);
    std::fill_n(to, begin, table[0]);
    for (int x = begin; x < end; ++x) {
      to[x] = table[from[(x + shift.x) * channels]];
    }
    std::fill_n(to + end, image.width - end, table[0]);
    if (mirrored) {
      std::reverse(to, to + image.width);
    }
  }
}

// A grey plane out of RGB, with the weights and the rounding of Pillow's convert("L").
Image to_grey(const Image& image) {
  Image grey = make_image(image.height, image.width, 1);
  for (std::size_t i = 0; i < grey.pixels.size(); ++i) {
    const std::uint32_t red = image.pixels[3 * i];
    const std::uint32_t green = image.pixels[3 * i + 1];
    const std::uint32_t blue = image.pixels[3 * i + 2];
    grey.pixels[i] =
        static_cast<std::uint8_t>((red * 19595U + green * 38470U + blue * 7471U + 0x8000U) >> 16);
  }
  return grey;
}

bool changes_colour(const Augmentation& how) {
  return how.jitter > 0 || how.grey > 0 || how.blur > 0 || how.solarise > 0;
}

float factor(float strength, Stream& stream) {
  return stream.uniform(std::max(0.0F, 1.0F - strength), 1.0F + strength);
}

// Draws every number whether it is used or not, so that one switch does not move the others.
void change_colour(const Planes& planes, const Augmentation& how, Stream& stream) {
  const bool jitters = stream.chance(static_cast<double>(how.jitter));
  const float brightness = factor(how.brightness, stream);
  const float contrast = factor(how.contrast, stream);
  const float saturation = factor(how.saturation, stream);
  const float hue = stream.uniform(-how.hue, how.hue);
  std::array<int, 4> order{0, 1, 2, 3};
  for (std::size_t left = order.size(); left > 1; --left) {
    std::swap(order[left - 1], order[stream.below(left)]);
  }
  const bool greys = stream.chance(static_cast<double>(how.grey));
  const bool blurs = stream.chance(static_cast<double>(how.blur));
  const float sigma = stream.uniform(0.1F, 2.0F);
  const bool solarises = stream.chance(static_cast<double>(how.solarise));
  if (jitters) {
    for (const int step : order) {
      if (step == 0 && how.brightness > 0) {
        adjust_brightness(planes, brightness);
      } else if (step == 1 && how.contrast > 0) {
        adjust_contrast(planes, contrast);
      } else if (step == 2 && how.saturation > 0) {
        adjust_saturation(planes, saturation);
      } else if (step == 3 && how.hue > 0) {
        adjust_hue(planes, hue);
      }
    }
  }
  if (greys) {
    make_grey(planes);
  }
  if (blurs) {
    blur(planes, sigma);
  }
  if (solarises) {
    solarise(planes);
  }
}

void normalise(const Planes& planes, const Normalisation& normalisation) {
  for (int channel = 0; channel < planes.channels; ++channel) {
    const float mean = normalisation.mean[static_cast<std::size_t>(channel)];
    const float deviation = normalisation.deviation[static_cast<std::size_t>(channel)];
    for (float& level : planes.plane(channel)) {
      level = (level / 255.0F - mean) / deviation;
    }
  }
}

// The part of the image that the view shows, at the view's size.
Image scaled_part(const Image& image, const View& view, Stream& stream) {
  const Region region = view.augmentation.area_max > 0 ? random_region(image, view, stream)
                                                       : centred_region(image, view.size);
  return resize(image, region, view.size);
}

}  // namespace

bool render_view(const Image& image, const View& view, MirrorRule mirror, Stream stream,
                 std::span<float> planes) {
  if (planes.size() != view.floats() || (view.channels != 1 && view.channels != 3)) {
    fail(Code::kInternal, "a view of {} floats was to be written to {}", view.floats(),
         planes.size());
  }
  const Augmentation& how = view.augmentation;
  const bool whole = image.size() == view.size && how.area_max <= 0;
  Image part = whole ? Image{} : scaled_part(image, view, stream);
  const Image* source = whole ? &image : &part;
  const Shift shift = how.area_max > 0 ? Shift{} : random_shift(how.crop_padding, stream);
  const bool mirrored =
      stream.chance(static_cast<double>(how.mirror)) && mirror != MirrorRule::kForbids;
  if (view.channels == 1 && source->channels == 3) {
    part = to_grey(*source);
    source = &part;
  }
  const bool colour = changes_colour(how);
  for (int channel = 0; channel < view.channels; ++channel) {
    const auto at = static_cast<std::size_t>(channel);
    const std::size_t pixels = planes.size() / static_cast<std::size_t>(view.channels);
    write_plane(*source, source->channels == 1 ? 0 : channel, shift, mirrored,
                colour ? plain_table() : level_table(view.normalisation, at),
                planes.subspan(at * pixels, pixels));
  }
  if (colour) {
    const Planes result{planes, view.channels, view.size.height, view.size.width};
    change_colour(result, how, stream);
    normalise(result, view.normalisation);
  }
  return mirrored;
}

Augmentation usual_augmentation(const Dataset& dataset, ImageSize size) {
  Augmentation how;
  if (dataset.task() == Task::kRegression) {
    how.mirror = dataset.mirror_rule() == MirrorRule::kNegates ? 0.5F : 0.0F;
    how.jitter = 1;
    how.brightness = 0.2F;
    how.contrast = 0.2F;
    return how;
  }
  how.mirror = dataset.mirror_rule() == MirrorRule::kKeeps ? 0.5F : 0.0F;
  if (std::max(size.height, size.width) <= 64) {
    how.crop_padding = std::max(size.height, size.width) / 8;
  } else {
    how.area_min = 0.08F;
    how.area_max = 1;
  }
  return how;
}

}  // namespace reprise::engine
