// The table of contents of a ZIP archive, read as if every archive were hostile.
#pragma once

#include "ckpt/base/bytes.h"
#include "ckpt/base/file.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace reprise::container {

struct ZipEntry {
  std::string_view name;           // points into the archive
  std::uint64_t offset_bytes = 0;  // of the data in the archive
  std::uint64_t stored_bytes = 0;  // there
  std::uint64_t size_bytes = 0;    // of the content
  std::uint32_t crc32 = 0;         // of the content
  bool deflated = false;
};

// Entries of one archive, in the order of their data. Valid while the archive's bytes are.
class ZipDirectory {
 public:
  // Reads the central directory and every local header; no data: cost is O(entries).
  //
  // Accepted: entries stored or deflated, ZIP64, data descriptors, padding in extra
  // fields. The archive must fill the file: nothing before the first header, nothing
  // behind the end record.
  // Errors: kCorrupt, naming the byte offset, for local and central headers that
  // disagree, data that overlaps or leaves the file, duplicate names, names that are
  // absolute, hold "..", a backslash or a control character, and for contents that claim
  // more than 200 times their stored size; kUnsupported for encryption, other methods,
  // several disks.
  static ZipDirectory read(Bytes archive);
  // The same of a file; what the disk does not give of its local headers is kIo.
  static ZipDirectory read(const MappedFile& archive);

  // Whether an entry's name ends like that, by the central directory alone: for telling
  // archives apart without touching every page that read() does. Errors: as read().
  static bool lists(Bytes archive, std::string_view ending);

  const std::vector<ZipEntry>& entries() const { return entries_; }
  // nullptr when there is none of that name.
  const ZipEntry* find(std::string_view name) const;

 private:
  static ZipDirectory read(Bytes archive, const MappedFile* file);

  std::vector<ZipEntry> entries_;
  std::map<std::string_view, std::size_t> by_name_;
};

// Whether the end of `file` looks like that of a ZIP archive: how programs that do not
// look at its start would recognise one.
bool ends_like_zip(Bytes file);

}  // namespace reprise::container
