// JPEG and PNG bytes to pixels. The bytes are hostile until decoded.
#pragma once

#include "ckpt/base/bytes.h"
#include "engine/data/image.h"

#include <cstdint>
#include <string_view>

namespace reprise::engine {

// Pictures of more pixels than this are refused before memory is spent on them.
inline constexpr std::uint64_t kLargestImagePixels = std::uint64_t{64} << 20;

// Decodes a JPEG (libjpeg-turbo: accurate DCT, smooth upsampling, the bytes that Pillow gives)
// or a PNG (8 bits a channel; palettes and small depths expanded, 16 bits cut to 8, transparency
// dropped), told apart by their first bytes. Grey pictures have one channel, all others three.
// EXIF orientation is ignored, as torchvision's loader does. `name` is for messages.
// Thread-safe. Memory: the picture, plus for a progressive JPEG its coefficients.
// Errors: kCorrupt for damaged or truncated data, also where a decoder would go on with grey;
// kUnsupported for other formats, CMYK, and too many pixels or scans.
Image decode_image(Bytes bytes, std::string_view name);

// Width and height as the header has them, without decoding. Errors: as decode_image.
ImageSize image_size(Bytes bytes, std::string_view name);

}  // namespace reprise::engine
