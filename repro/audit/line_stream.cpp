#include "repro/audit/line_stream.h"

#include "ckpt/base/error.h"
#include "repro/ledger/reader.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace reprise::audit {

namespace {

constexpr std::size_t kPieceBytes = 1u << 20;

// Takes `literal` and a number off the front of `text`; false when they are not there.
bool take_number(std::string_view& text, std::string_view literal, std::uint64_t& number) {
  if (!text.starts_with(literal)) return false;
  const char* begin = text.data() + literal.size();
  const auto [end, problem] = std::from_chars(begin, text.data() + text.size(), number);
  if (problem != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

}  // namespace

LineStream::LineStream(const std::filesystem::path& path, std::uint64_t offset_bytes)
    : file_(File::open(path)), size_(file_.size()), buffer_offset_(offset_bytes) {}

bool LineStream::fetch() {
  buffer_.erase(0, begin_);
  buffer_offset_ += begin_;
  begin_ = 0;
  const std::uint64_t at = buffer_offset_ + buffer_.size();
  const std::uint64_t length = at < size_ ? std::min<std::uint64_t>(kPieceBytes, size_ - at) : 0;
  if (length == 0) return false;
  if (buffer_.size() > ledger::kLongestLine) {
    fail(Code::kCorrupt, "{}: line {}: a line of more than {} bytes; this is no ledger",
         file_.path().native(), line_number(file_.path(), buffer_offset_), ledger::kLongestLine);
  }
  const std::size_t old = buffer_.size();
  buffer_.resize(old + length);
  file_.read(at, std::as_writable_bytes(std::span(buffer_)).subspan(old));
  return true;
}

std::optional<Line> LineStream::next() {
  std::size_t searched = begin_;
  while (true) {
    if (const auto newline = buffer_.find('\n', searched); newline != std::string::npos) {
      line_offset_ = buffer_offset_ + begin_;
      const std::string_view text = std::string_view(buffer_).substr(begin_, newline - begin_);
      begin_ = newline + 1;
      if (line_offset_ == 0) return next();  // the header, which names nothing of the run
      return parse(text);
    }
    const std::size_t kept = buffer_.size() - begin_;
    if (!fetch()) return std::nullopt;
    searched = kept;
  }
}

Line LineStream::parse(std::string_view text) const {
  Line line;
  line.text = text;
  std::string_view rest = text;
  std::uint64_t epoch = 0;
  const auto prev = text.rfind(",\"prev\":");
  if (prev != std::string_view::npos && take_number(rest, "{\"update\":", line.update)) {
    if (rest.starts_with(",\"tensors\":")) {
      line.is_tensors = true;
      return line;
    }
    if (take_number(rest, ",\"epoch\":", epoch) &&
        take_number(rest, ",\"samples\":", line.samples) && rest.starts_with(",\"batch\":")) {
      line.content = text.substr(text.size() - rest.size(), prev - (text.size() - rest.size()));
      return line;
    }
  }
  fail(Code::kCorrupt, "{}: line {}: no line of a ledger: {}", file_.path().native(),
       line_number(file_.path(), line_offset_), printable(text, 80));
}

std::uint64_t line_number(const std::filesystem::path& path, std::uint64_t offset_bytes) {
  const File file = File::open(path);
  std::string piece(kPieceBytes, '\0');
  std::uint64_t number = 1;
  for (std::uint64_t at = 0; at < offset_bytes;) {
    const auto length =
        static_cast<std::size_t>(std::min<std::uint64_t>(kPieceBytes, offset_bytes - at));
    file.read(at, std::as_writable_bytes(std::span(piece)).first(length));
    number += static_cast<std::uint64_t>(
        std::count(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(length), '\n'));
    at += length;
  }
  return number;
}

std::uint64_t common_lines_end(const std::filesystem::path& a, const std::filesystem::path& b) {
  const File file_a = File::open(a), file_b = File::open(b);
  const std::uint64_t size = std::min(file_a.size(), file_b.size());
  std::string piece_a(kPieceBytes, '\0'), piece_b(kPieceBytes, '\0');
  std::uint64_t end = 0;
  for (std::uint64_t offset = 0; offset < size;) {
    const auto length =
        static_cast<std::size_t>(std::min<std::uint64_t>(kPieceBytes, size - offset));
    file_a.read(offset, std::as_writable_bytes(std::span(piece_a)).first(length));
    file_b.read(offset, std::as_writable_bytes(std::span(piece_b)).first(length));
    std::size_t equal = length;
    if (std::memcmp(piece_a.data(), piece_b.data(), length) != 0) {
      equal = static_cast<std::size_t>(
          std::mismatch(piece_a.begin(), piece_a.begin() + static_cast<std::ptrdiff_t>(length),
                        piece_b.begin())
              .first -
          piece_a.begin());
    }
    if (const auto newline = std::string_view(piece_a).substr(0, equal).rfind('\n');
        newline != std::string_view::npos) {
      end = offset + newline + 1;
    }
    if (equal < length) break;
    offset += length;
  }
  return end;
}

}  // namespace reprise::audit
