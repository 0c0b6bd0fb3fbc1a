#include "engine/data/decode.h"

#include "ckpt/base/error.h"
#include "engine/data/codec.h"

#include <algorithm>
#include <string>

namespace reprise::engine {
namespace {

[[noreturn]] void fail_format(Bytes bytes, std::string_view name) {
  if (bytes.empty()) {
    fail(Code::kCorrupt, "{}: the file is empty, where a JPEG or PNG image was expected", name);
  }
  std::string first;
  for (const std::byte byte : bytes.first(std::min<std::size_t>(bytes.size(), 8))) {
    first += fmt::format("{:02x} ", static_cast<unsigned>(byte));
  }
  first.pop_back();
  fail(Code::kUnsupported,
       "{}: begins with {}, which is neither JPEG (ff d8 ff) nor PNG (89 50 4e 47); convert it, or "
       "leave such files out with --skip-bad",
       name, first);
}

}  // namespace

void check_image_size(std::uint64_t width, std::uint64_t height, std::string_view name) {
  if (width == 0 || height == 0) {
    fail(Code::kCorrupt, "{}: the image header says {} x {} pixels; the file is damaged", name,
         width, height);
  }
  if (width > kLargestImagePixels / height) {
    fail(Code::kUnsupported, "{}: {} x {} pixels, at most {} million are read; scale it down first",
         name, width, height, kLargestImagePixels >> 20);
  }
}

Image decode_image(Bytes bytes, std::string_view name) {
  return is_jpeg(bytes)  ? decode_jpeg(bytes, name)
         : is_png(bytes) ? decode_png(bytes, name)
                         : (fail_format(bytes, name), Image{});
}

ImageSize image_size(Bytes bytes, std::string_view name) {
  return is_jpeg(bytes)  ? jpeg_size(bytes, name)
         : is_png(bytes) ? png_size(bytes, name)
                         : (fail_format(bytes, name), ImageSize{});
}

}  // namespace reprise::engine
