// Lines of a ledger from any offset on, read for comparing rather than for believing:
// the chain is not checked here.
#pragma once

#include "ckpt/base/file.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace reprise::audit {

// What the comparison needs of a line; views into the stream's buffer, valid until the
// next call of next().
struct Line {
  std::string_view text;
  std::uint64_t update = 0;
  bool is_tensors = false;
  // Of an update's line.
  std::uint64_t samples = 0;
  std::string_view content;  // from "batch" up to "prev": everything that is compared
};

// Streams in pieces of 1 MiB. Errors of next(): kCorrupt, naming the file and the line that is none
// of a ledger's.
class LineStream {
 public:
  LineStream(const std::filesystem::path& path, std::uint64_t offset_bytes);

  // The next line; nothing at the end, where a line without newline does not count.
  std::optional<Line> next();
  // Where the line that next() returned last begins.
  std::uint64_t offset_bytes() const { return line_offset_; }
  // Where the line after it begins: a stream opened there goes on, also in a file that grew.
  std::uint64_t next_offset_bytes() const { return buffer_offset_ + begin_; }

 private:
  bool fetch();
  Line parse(std::string_view text) const;

  File file_;
  std::uint64_t size_;
  std::uint64_t line_offset_ = 0;
  std::uint64_t buffer_offset_;  // of buffer_[0] in the file
  std::size_t begin_ = 0;        // of the next line in buffer_
  std::string buffer_;
};

// The number, from 1, of the line that begins at `offset_bytes`; for messages, since it reads the
// file up to there.
std::uint64_t line_number(const std::filesystem::path& path, std::uint64_t offset_bytes);

// Where the last line that two files have in common ends: the bytes before it are
// equal, line by line. Memory speed; 2 MiB of memory, whatever the length.
std::uint64_t common_lines_end(const std::filesystem::path& a, const std::filesystem::path& b);

}  // namespace reprise::audit
