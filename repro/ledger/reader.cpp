#include "repro/ledger/reader.h"

#include "ckpt/base/error.h"

#include <algorithm>

namespace reprise::ledger {

namespace {
constexpr std::uint64_t kPieceBytes = 1u << 20;
}

Reader::Reader(File file) : file_(std::move(file)), size_(file_.size()) {}

Reader Reader::open(const std::filesystem::path& path) {
  Reader reader(File::open(path));
  if (!reader.read_line() || reader.line_ != kHeaderLine) {
    if (reader.line_.ends_with('\r')) {
      fail(Code::kCorrupt,
           "{}: line 1 ends in CR LF: the file was changed on its way here; copy it again as it is",
           path.string());
    }
    if (reader.line_.starts_with(R"({"ledger":)")) {
      fail(Code::kUnsupported, "{}: a ledger of another version: {}; use a newer Reprise",
           path.string(), printable(reader.line_, 80));
    }
    fail(Code::kCorrupt, "{}: line 1 is no ledger header; expected {}", path.string(), kHeaderLine);
  }
  reader.chain_ = chain_of(reader.line_);
  return reader;
}

bool Reader::read_line() {
  // Looks for the newline from where the last search ended, fetching as needed.
  std::size_t searched = offset_ - buffer_offset_;
  while (true) {
    const auto newline = buffer_.find('\n', searched);
    if (newline != std::string::npos) {
      const std::size_t begin = offset_ - buffer_offset_;
      line_.assign(buffer_, begin, newline - begin);
      offset_ = buffer_offset_ + newline + 1;
      ++line_number_;
      return true;
    }
    buffer_.erase(0, offset_ - buffer_offset_);
    buffer_offset_ = offset_;
    searched = buffer_.size();
    if (buffer_.size() > kLongestLine) {
      ++line_number_;
      refuse(fmt::format("is longer than {} bytes; this is no ledger", kLongestLine));
    }
    const std::uint64_t at = buffer_offset_ + buffer_.size();
    const std::uint64_t length = std::min(kPieceBytes, size_ - at);
    if (length == 0) {
      torn_bytes_ = buffer_.size();
      return false;
    }
    buffer_.resize(searched + length);
    file_.read(at, std::as_writable_bytes(std::span(buffer_)).subspan(searched));
  }
}

std::optional<ParsedLine> Reader::next() {
  if (!read_line()) return std::nullopt;
  ParsedLine parsed;
  try {
    parsed = parse_line(line_);
  } catch (const Error& error) {
    refuse(error.what());
  }
  if (parsed.prev != chain_) {
    refuse(
        "its 'prev' is not the digest of the line before; that line was edited, removed or "
        "repeated");
  }
  if (parsed.update) {
    // A ledger may begin at any update: the run's first part may have had none.
    const std::uint64_t expected = last_update_ + 1;
    if (parsed.update->update != expected && (last_update_ != 0 || parsed.update->update == 0)) {
      refuse(fmt::format("is update {}, {} was expected", parsed.update->update, expected));
    }
    last_update_ = parsed.update->update;
    last_was_tensors_ = false;
  } else {
    if (parsed.tensors->update != last_update_ || last_was_tensors_) {
      refuse(fmt::format("holds tensors of update {}, which do not belong here",
                         parsed.tensors->update));
    }
    last_was_tensors_ = true;
  }
  chain_ = chain_of(line_);
  return parsed;
}

void Reader::refuse(const std::string& what) const {
  fail(Code::kCorrupt, "{}: line {}: {}", file_.path().string(), line_number_, what);
}

}  // namespace reprise::ledger
