#include "ckpt/container/deflate.h"

#include "ckpt/base/error.h"

#include <libdeflate.h>

#include <memory>
#include <new>

namespace reprise::container {

std::uint32_t crc32(Bytes bytes, std::uint32_t seed) {
  return libdeflate_crc32(seed, bytes.data(), bytes.size());
}

void inflate(Bytes compressed, MutableBytes out) {
  const std::unique_ptr<libdeflate_decompressor, decltype(&libdeflate_free_decompressor)> stream(
      libdeflate_alloc_decompressor(), &libdeflate_free_decompressor);
  if (stream == nullptr) throw std::bad_alloc();
  std::size_t used = 0;
  const auto result = libdeflate_deflate_decompress_ex(
      stream.get(), compressed.data(), compressed.size(), out.data(), out.size(), &used, nullptr);
  if (result != LIBDEFLATE_SUCCESS || used != compressed.size()) {
    fail(Code::kCorrupt,
         "a deflate stream of {} bytes does not hold the {} bytes that the archive declares; "
         "the file is damaged",
         compressed.size(), out.size());
  }
}

}  // namespace reprise::container
