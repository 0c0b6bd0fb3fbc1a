#include "ckpt/base/error.h"
#include "engine/data/codec.h"
#include "engine/data/decode.h"

#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <string>
#include <vector>

namespace reprise::engine {
namespace {

// Chunks besides the picture are not needed; one of megabytes is an attack.
constexpr png_alloc_size_t kLargestChunk = png_alloc_size_t{8} << 20;
constexpr png_uint_32 kLargestSide = 1U << 20;

// The bytes that are left, and what libpng had to say.
struct Input {
  Bytes rest;
  char reason[200] = "unknown";
};

void read_bytes(png_structp png, png_bytep to, std::size_t count) {
  auto* input = static_cast<Input*>(png_get_io_ptr(png));
  if (count > input->rest.size()) {
    png_error(png, "the file is truncated");
  }
  std::memcpy(to, input->rest.data(), count);
  input->rest = input->rest.subspan(count);
}

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto* input = static_cast<Input*>(png_get_error_ptr(png));
  std::strncpy(input->reason, message, sizeof input->reason - 1);
  png_longjmp(png, 1);
}

// Warnings are about chunks that do not change the pixels we take.
void on_warning(png_structp, png_const_charp) {}

// libpng's reader; frees what the library holds.
class Reader {
 public:
  explicit Reader(Bytes bytes, std::string_view name) : input_{bytes}, name_(name) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &input_, on_error, on_warning);
    info_ = png_ == nullptr ? nullptr : png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      throw std::bad_alloc();
    }
  }
  ~Reader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // libpng reports by longjmp. The two functions that call it hold nothing with a destructor,
  // so nothing is skipped.
  ImageSize read_header() {
    if (setjmp(png_jmpbuf(png_)) != 0) {
      fail_png();
    }
    png_set_read_fn(png_, &input_, read_bytes);
    png_set_user_limits(png_, kLargestSide, kLargestSide);
    png_set_chunk_malloc_max(png_, kLargestChunk);
    png_set_chunk_cache_max(png_, 64);
    png_read_info(png_, info_);
    return {static_cast<int>(png_get_image_height(png_, info_)),
            static_cast<int>(png_get_image_width(png_, info_))};
  }

  // Sets up the conversion to 8-bit grey or RGB; returns the number of channels.
  int set_conversion() {
    if (setjmp(png_jmpbuf(png_)) != 0) {
      fail_png();
    }
    const int colour_type = png_get_color_type(png_, info_);
    png_set_expand(png_);
    png_set_strip_16(png_);
    png_set_strip_alpha(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return (colour_type & PNG_COLOR_MASK_COLOR) != 0 ? 3 : 1;
  }

  std::size_t row_bytes() const { return png_get_rowbytes(png_, info_); }

  // Reads all rows and the end of the file, so that a cut-off tail is noticed.
  void read_rows(std::uint8_t** rows) {
    if (setjmp(png_jmpbuf(png_)) != 0) {
      fail_png();
    }
    png_read_image(png_, rows);
    png_read_end(png_, nullptr);
  }

 private:
  [[noreturn]] void fail_png() {
    fail(Code::kCorrupt,
         "{}: the PNG does not decode: {}; restore the file, or leave such files out with "
         "--skip-bad",
         name_, printable(input_.reason));
  }

  Input input_;
  std::string name_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

ImageSize checked_header(Reader& reader, std::string_view name) {
  const ImageSize size = reader.read_header();
  check_image_size(static_cast<std::uint64_t>(size.width), static_cast<std::uint64_t>(size.height),
                   name);
  return size;
}

}  // namespace

bool is_png(Bytes bytes) {
  constexpr std::string_view kSignature = "\x89PNG\r\n\x1a\n";
  return bytes.size() >= kSignature.size() && as_text(bytes.first(kSignature.size())) == kSignature;
}

ImageSize png_size(Bytes bytes, std::string_view name) {
  Reader reader(bytes, name);
  return checked_header(reader, name);
}

Image decode_png(Bytes bytes, std::string_view name) {
  Reader reader(bytes, name);
  const ImageSize size = checked_header(reader, name);
  const int channels = reader.set_conversion();
  Image image = make_image(size.height, size.width, channels);
  if (reader.row_bytes() != image.bytes() / static_cast<std::size_t>(size.height)) {
    fail(Code::kUnsupported, "{}: a kind of PNG that is not read (rows of {} bytes); convert it",
         name, reader.row_bytes());
  }
  std::vector<std::uint8_t*> rows;
  for (int y = 0; y < size.height; ++y) {
    rows.push_back(image.row(y));
  }
  reader.read_rows(rows.data());
  return image;
}

}  // namespace reprise::engine
