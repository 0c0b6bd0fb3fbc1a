// Reads a ledger forward and checks its chain on the way.
#pragma once

#include "ckpt/base/file.h"
#include "repro/ledger/line.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace reprise::ledger {

// A line longer than this is no line of ours (a tensors line of 100,000 names fits).
inline constexpr std::uint64_t kLongestLine = 32u << 20;

// Streams in pieces of 1 MiB whatever the length. Not shared between threads.
// Errors of next(): kCorrupt naming the line and what is wrong there: it does not
// parse, its `prev` is not the digest of the line before (the line before was
// edited, removed or repeated), its update does not follow.
class Reader {
 public:
  // Errors: kNotFound, kIo; kCorrupt without a header line; kUnsupported for a newer header.
  static Reader open(const std::filesystem::path& path);

  // The next line, or nothing at the end. A last line without newline is what a
  // crash leaves: it ends the ledger and is reported by torn_bytes().
  std::optional<ParsedLine> next();

  // Of the line that next() returned last.
  std::uint64_t line_number() const { return line_number_; }
  const std::string& text() const { return line_; }
  // Chain after that line; behind the header at first.
  const Digest& chain() const { return chain_; }
  // Where the line after it begins.
  std::uint64_t offset_bytes() const { return offset_; }
  std::uint64_t torn_bytes() const { return torn_bytes_; }

 private:
  explicit Reader(File file);
  bool read_line();
  [[noreturn]] void refuse(const std::string& what) const;

  File file_;
  std::uint64_t size_;
  std::uint64_t offset_ = 0;
  std::uint64_t line_number_ = 0;
  std::uint64_t torn_bytes_ = 0;
  std::uint64_t last_update_ = 0;
  bool last_was_tensors_ = false;
  Digest chain_;
  std::string line_;
  std::string buffer_;  // bytes of the file from buffer_offset_ on
  std::uint64_t buffer_offset_ = 0;
};

}  // namespace reprise::ledger
