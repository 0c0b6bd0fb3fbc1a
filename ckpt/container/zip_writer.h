// A stored ZIP archive, written front to back, as PyTorch lays it out.
#pragma once

#include "ckpt/base/bytes.h"
#include "ckpt/base/file.h"
#include "ckpt/state/tensor.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace reprise::container {

// Every entry's data begins at a multiple of 64 bytes; times are zero, so that the same
// content gives the same bytes. ZIP64 where sizes need it.
class ZipWriter {
 public:
  // `file` is empty and must outlive the writer.
  explicit ZipWriter(const File& file) : file_(file) {}

  // Errors: kIo; those of reading the tensor.
  void add(std::string_view name, Bytes content);
  // The logical bytes of a tensor, in one pass. `on_bytes` may be empty.
  void add(std::string_view name, const Tensor& content,
           const std::function<void(std::uint64_t)>& on_bytes);
  // Writes the directory; returns the size of the archive.
  std::uint64_t finish();

 private:
  struct Entry {
    std::string name;
    std::uint64_t header_offset;
    std::uint64_t size_bytes;
    std::uint32_t crc32;
  };
  std::uint64_t data_offset(std::string_view name, std::uint64_t size_bytes) const;
  void write_header(const Entry& entry, std::uint64_t data_offset);

  const File& file_;
  std::uint64_t position_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace reprise::container
