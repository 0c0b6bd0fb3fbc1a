// Zip files of small text files: written the same for the same content, read with suspicion.
#pragma once

#include "ckpt/base/bytes.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace reprise::snapshot {

// One entry to write. Views must live until write_zip returns.
struct ZipItem {
  std::string name;  // in any bytes; a directory's ends with '/'
  Bytes content;
  std::uint32_t mode;   // as stat's st_mode
  std::string comment;  // empty: none
};

// The bytes of a zip file with `items` in their order. Entries are stored, not compressed, and
// carry a fixed time: the same items give the same bytes with every version of libzip and zlib.
// Errors: kInternal.
std::string write_zip(const std::vector<ZipItem>& items);

// One entry as the central directory describes it: nothing of it is to be believed yet.
struct ZipEntry {
  std::string name;  // raw bytes
  std::uint64_t size_bytes;
  std::uint64_t compressed_bytes;
  std::uint32_t mode;  // 0 when the writer was not a Unix program
  std::string comment;
};

// Reads a zip file. One thread at a time.
// Errors: kCorrupt for what is no zip file, or is damaged, encrypted or of an exotic compression.
class ZipReader {
 public:
  static ZipReader open(const std::filesystem::path& path);
  ZipReader(ZipReader&&) noexcept;
  ~ZipReader();

  const std::vector<ZipEntry>& entries() const { return entries_; }
  // Content of entry `index`, checked against its CRC-32. Never gives more than the declared size.
  // Errors: kCorrupt, also when there is more or less than declared.
  std::string read(std::size_t index) const;

 private:
  struct Handle;
  ZipReader(std::unique_ptr<Handle> handle, std::filesystem::path path);
  std::unique_ptr<Handle> handle_;
  std::filesystem::path path_;
  std::vector<ZipEntry> entries_;
};

}  // namespace reprise::snapshot
