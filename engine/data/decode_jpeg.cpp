#include "ckpt/base/error.h"
#include "engine/data/codec.h"

#include <turbojpeg.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <string>

namespace reprise::engine {
namespace {

struct Destroy {
  void operator()(void* handle) const { tjDestroy(handle); }
};

using Decompressor = std::unique_ptr<void, Destroy>;

// One decompressor a thread: making one costs as much as decoding a small picture.
Decompressor& decompressor_of_thread() {
  thread_local Decompressor decompressor;
  return decompressor;
}

tjhandle decompressor() {
  Decompressor& decompressor = decompressor_of_thread();
  if (!decompressor) {
    decompressor.reset(tjInitDecompress());
  }
  if (!decompressor) {
    fail(Code::kInternal, "libjpeg-turbo could not be started: {}", tjGetErrorStr2(nullptr));
  }
  return decompressor.get();
}

const unsigned char* data_of(Bytes bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

[[noreturn]] void fail_jpeg(tjhandle handle, std::string_view name) {
  const std::string reason = tjGetErrorStr2(handle);
  // After a failure in a header the library goes on in the middle of it with the next picture.
  decompressor_of_thread().reset();
  const bool unsupported = reason.find("not supported") != std::string::npos ||
                           reason.find("Unsupported") != std::string::npos ||
                           reason.find("too many scans") != std::string::npos;
  fail(
      unsupported ? Code::kUnsupported : Code::kCorrupt,
      "{}: the JPEG does not decode: {}; restore the file, or leave such files out with --skip-bad",
      name, printable(reason));
}

// Stray bytes before a marker harm nothing and are common in the wild; every other warning
// means that part of the picture is made up.
bool is_harmless(tjhandle handle) {
  return tjGetErrorCode(handle) == TJERR_WARNING &&
         std::string_view(tjGetErrorStr2(handle)).find("extraneous bytes before marker") !=
             std::string_view::npos;
}

struct Header {
  int width = 0;
  int height = 0;
  int colour_space = 0;
};

Header read_header(tjhandle handle, Bytes bytes, std::string_view name) {
  if (bytes.size() > std::numeric_limits<unsigned long>::max()) {
    fail(Code::kUnsupported, "{}: {} bytes are too many for a JPEG", name, bytes.size());
  }
  Header header;
  int subsampling = 0;
  if (tjDecompressHeader3(handle, data_of(bytes), bytes.size(), &header.width, &header.height,
                          &subsampling, &header.colour_space) != 0 &&
      !is_harmless(handle)) {
    fail_jpeg(handle, name);
  }
  check_image_size(static_cast<std::uint64_t>(std::max(header.width, 0)),
                   static_cast<std::uint64_t>(std::max(header.height, 0)), name);
  return header;
}

}  // namespace

bool is_jpeg(Bytes bytes) {
  return bytes.size() >= 3 && bytes[0] == std::byte{0xff} && bytes[1] == std::byte{0xd8} &&
         bytes[2] == std::byte{0xff};
}

ImageSize jpeg_size(Bytes bytes, std::string_view name) {
  const Header header = read_header(decompressor(), bytes, name);
  return {header.height, header.width};
}

Image decode_jpeg(Bytes bytes, std::string_view name) {
  const tjhandle handle = decompressor();
  const Header header = read_header(handle, bytes, name);
  if (header.colour_space == TJCS_CMYK || header.colour_space == TJCS_YCCK) {
    fail(Code::kUnsupported,
         "{}: a CMYK picture; convert it to RGB, or leave such files out with "
         "--skip-bad",
         name);
  }
  const bool grey = header.colour_space == TJCS_GRAY;
  Image image = make_image(header.height, header.width, grey ? 1 : 3);
  // LIMITSCANS: a progressive file of thousands of scans takes minutes to decode.
  if (tjDecompress2(handle, data_of(bytes), bytes.size(), image.pixels.data(), header.width,
                    header.width * image.channels, header.height, grey ? TJPF_GRAY : TJPF_RGB,
                    TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS) != 0 &&
      !is_harmless(handle)) {
    fail_jpeg(handle, name);
  }
  return image;
}

}  // namespace reprise::engine
