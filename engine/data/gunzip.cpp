#include "engine/data/gunzip.h"

#include "ckpt/base/error.h"

#include <zlib.h>

#include <algorithm>
#include <new>

namespace reprise::engine {
namespace {

class Inflater {
 public:
  Inflater() {
    constexpr int kGzipOnly = 15 + 16;
    if (inflateInit2(&stream_, kGzipOnly) != Z_OK) {
      throw std::bad_alloc();
    }
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  z_stream* operator->() { return &stream_; }
  z_stream* get() { return &stream_; }

 private:
  z_stream stream_{};
};

}  // namespace

bool is_gzip(Bytes bytes) {
  return bytes.size() >= 2 && bytes[0] == std::byte{0x1f} && bytes[1] == std::byte{0x8b};
}

std::vector<std::byte> gunzip(Bytes bytes, std::uint64_t limit_bytes, std::string_view name) {
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  Inflater inflater;
  std::vector<std::byte> piece(kPiece);
  std::vector<std::byte> result;
  Bytes rest = bytes;
  while (true) {
    const std::size_t given = std::min<std::size_t>(rest.size(), std::size_t{1} << 30);
    inflater->next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(rest.data()));
    inflater->avail_in = static_cast<uInt>(given);
    inflater->next_out = reinterpret_cast<Bytef*>(piece.data());
    inflater->avail_out = static_cast<uInt>(piece.size());
    const int status = inflate(inflater.get(), Z_NO_FLUSH);
    rest = rest.subspan(given - inflater->avail_in);
    const std::size_t made = piece.size() - inflater->avail_out;
    if (made > limit_bytes - result.size()) {
      fail(Code::kUnsupported, "{}: unpacks to more than {} bytes", name, limit_bytes);
    }
    result.insert(result.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(made));
    if (status == Z_STREAM_END) {
      if (rest.empty()) {
        return result;
      }
      inflateReset(inflater.get());
    } else if (status != Z_OK) {
      fail(Code::kCorrupt, "{}: byte {}: the gzip data is {}", name, bytes.size() - rest.size(),
           status == Z_BUF_ERROR ? "truncated" : "damaged");
    }
  }
}

}  // namespace reprise::engine
