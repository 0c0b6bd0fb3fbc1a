// The two codecs behind decode.h, each in the one file that includes its library.
#pragma once

#include "ckpt/base/bytes.h"
#include "engine/data/image.h"

#include <string_view>

namespace reprise::engine {

bool is_jpeg(Bytes bytes);
bool is_png(Bytes bytes);

// Errors: as decode_image.
Image decode_jpeg(Bytes bytes, std::string_view name);
Image decode_png(Bytes bytes, std::string_view name);
ImageSize jpeg_size(Bytes bytes, std::string_view name);
ImageSize png_size(Bytes bytes, std::string_view name);

// Refuses shapes that are empty or too large. Errors: kCorrupt, kUnsupported.
void check_image_size(std::uint64_t width, std::uint64_t height, std::string_view name);

}  // namespace reprise::engine
