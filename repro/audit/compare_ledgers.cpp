#include "repro/audit/compare_ledgers.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "repro/audit/line_stream.h"
#include "repro/ledger/reader.h"

#include <algorithm>
#include <unordered_map>

namespace reprise::audit {
namespace fs = std::filesystem;

namespace {

// The last line before a place in a ledger.
struct Before {
  std::uint64_t update = 0;  // 0: only the header is there
  std::string state;         // that the update left
  Digest chain;              // after the line
};

// A line that stands alone; `offset` is where it begins.
ledger::ParsedLine parsed_line(const fs::path& path, std::uint64_t offset, std::string_view text) {
  try {
    return ledger::parse_line(text);
  } catch (const Error& error) {
    throw error.at(fmt::format("{}: line {}", path.native(), line_number(path, offset)));
  }
}

// One side of the comparison: update lines on demand. Checks what lies behind `before`: each line
// has to continue the chain and the count, so that a line which was edited, removed or repeated
// where the runs part is not taken for something that the run did.
class Side {
 public:
  Side(const fs::path& path, std::uint64_t offset, const Before& before)
      : path_(path), stream_(path, offset), chain_(before.chain), update_(before.update) {}

  // Moves to the next update's line; false at the end.
  bool advance() {
    while (const auto line = stream_.next()) {
      check(*line);
      if (line->is_tensors) continue;
      update_ = line->update;
      samples_ = line->samples;
      text_ = line->text;
      content_begin_ = static_cast<std::size_t>(line->content.data() - line->text.data());
      content_size_ = line->content.size();
      offset_ = stream_.offset_bytes();
      return true;
    }
    return false;
  }

  std::uint64_t update() const { return update_; }
  std::uint64_t samples() const { return samples_; }
  std::uint64_t offset_bytes() const { return offset_; }
  std::string_view content() const {
    return std::string_view(text_).substr(content_begin_, content_size_);
  }
  ledger::UpdateLine parsed() const { return parsed_line(path_, offset_, text_).update.value(); }

 private:
  // Only lines behind the common prefix come here, so digesting each is affordable.
  void check(const Line& line) {
    const auto at = line.text.rfind("\"prev\":\"");
    const std::string_view prev = at == std::string_view::npos ? "" : line.text.substr(at + 8, 64);
    if (prev != chain_.hex()) {
      refuse(
          "its 'prev' is not the digest of the line before; that line was edited, removed or "
          "repeated");
    }
    // A ledger may begin at any update: the run's first part may have had none.
    if (!line.is_tensors && update_ != 0 && line.update != update_ + 1) {
      refuse(fmt::format("is update {}, {} was expected", line.update, update_ + 1));
    }
    chain_ = ledger::chain_of(line.text);
  }
  [[noreturn]] void refuse(const std::string& what) const {
    fail(Code::kCorrupt, "{}: line {}: {}", path_.native(),
         line_number(path_, stream_.offset_bytes()), what);
  }

  fs::path path_;
  LineStream stream_;
  Digest chain_;
  std::uint64_t update_, samples_ = 0, offset_ = 0;
  std::string text_;
  std::size_t content_begin_ = 0, content_size_ = 0;
};

// The digest of the state in a line's content.
std::string_view state_in(std::string_view content) {
  constexpr std::string_view kKey = "\"param\":\"";
  const auto at = content.find(kKey);
  return at == content.npos ? "" : content.substr(at + kKey.size(), 32);
}

Divergence divergence_of(const Side& a, const Side& b) {
  Divergence found;
  found.a = a.parsed();
  found.b = b.parsed();
  found.random_differs = found.a.rng != found.b.rng;
  found.what = first_difference(found.a, found.b);
  return found;
}

// A tensors line, and how many samples had been seen there.
struct Record {
  std::uint64_t samples;
  ledger::TensorsLine line;
};

// The tensors lines of a ledger behind an update's line, forward only.
class Records {
 public:
  Records(const fs::path& path, const Side& side)
      : path_(path), stream_(path, side.offset_bytes()) {}

  // The next one that was written after at least `samples` samples.
  std::optional<Record> next(std::uint64_t samples) {
    while (const auto line = stream_.next()) {
      if (!line->is_tensors) {
        seen_ = line->samples;
      } else if (seen_ >= samples) {
        return Record{seen_,
                      parsed_line(path_, stream_.offset_bytes(), line->text).tensors.value()};
      }
    }
    return std::nullopt;
  }

 private:
  fs::path path_;
  LineStream stream_;
  std::uint64_t seen_ = 0;
};

DifferingTensors differing_tensors(const fs::path& a, const fs::path& b, const Side& side_a,
                                   const Side& side_b) {
  DifferingTensors result;
  Records records_a(a, side_a), records_b(b, side_b);
  auto record_a = records_a.next(side_a.samples());
  auto record_b = records_b.next(side_b.samples());
  // Recorded at another cadence: go on to a place that both have.
  while (record_a && record_b && record_a->samples != record_b->samples) {
    if (record_a->samples < record_b->samples) {
      record_a = records_a.next(record_b->samples);
    } else {
      record_b = records_b.next(record_a->samples);
    }
  }
  if (!record_a || !record_b) return result;
  const ledger::TensorsLine& line_a = record_a->line;
  const ledger::TensorsLine& line_b = record_b->line;
  result.update = line_a.update;
  const std::unordered_map<std::string, std::string> others(line_b.digests.begin(),
                                                            line_b.digests.end());
  for (const auto& [name, digest] : line_a.digests) {
    const auto other = others.find(name);
    if (other == others.end()) continue;
    ++result.recorded;
    if (other->second != digest) result.names.push_back(name);
  }
  return result;
}

// A line of a ledger, read from behind.
struct LastLine {
  std::uint64_t offset = 0;  // where it begins; 0: it is the header
  std::string text;
};

// The line that ends, with its newline, at `end`.
LastLine line_ending_at(const File& file, std::uint64_t end) {
  // Backwards by growing pieces until a whole line is inside.
  for (std::uint64_t tail = std::min<std::uint64_t>(end, 64 << 10);;
       tail = std::min(end, tail * 4)) {
    std::string text(tail, '\0');
    file.read(end - tail, std::as_writable_bytes(std::span(text)));
    const auto begin = text.size() < 2 ? std::string::npos : text.rfind('\n', text.size() - 2);
    if (begin != std::string::npos) {
      return {end - (text.size() - begin - 1), text.substr(begin + 1, text.size() - begin - 2)};
    }
    if (tail == end) return {0, std::string(ledger::kHeaderLine)};
    if (tail > ledger::kLongestLine * 2) {
      fail(Code::kCorrupt, "{}: a line of more than {} bytes; this is no ledger",
           file.path().native(), ledger::kLongestLine);
    }
  }
}

// What the lines up to `end` leave; only the header: update 0.
Before line_before(const fs::path& path, std::uint64_t end) {
  const File file = File::open(path);
  const LastLine last = line_ending_at(file, end);
  Before before{0, {}, ledger::chain_of(last.text)};
  if (last.offset == 0) return before;
  const auto parsed = parsed_line(path, last.offset, last.text);
  before.update = parsed.update ? parsed.update->update : parsed.tensors->update;
  if (parsed.update) {
    before.state = parsed.update->param;
    return before;
  }
  // The update's own line stands in front of its tensors.
  const LastLine own = line_ending_at(file, last.offset);
  const auto update =
      own.offset == 0 ? ledger::ParsedLine{} : parsed_line(path, own.offset, own.text);
  if (!update.update || update.update->update != before.update) {
    fail(Code::kCorrupt, "{}: line {}: holds tensors of update {}, which do not belong here",
         path.native(), line_number(path, last.offset), before.update);
  }
  before.state = update.update->param;
  return before;
}

// The update that a ledger begins with, 0 when it has no line.
std::uint64_t first_update(const fs::path& path) {
  const auto line = LineStream(path, 0).next();
  return line ? line->update : 0;
}

// The update of the last line of a ledger, 0 when it has none. What a crash left behind the last
// newline does not count.
std::uint64_t last_update(const fs::path& path) {
  const File file = File::open(path);
  std::uint64_t end = file.size();
  std::string piece(64 << 10, '\0');
  while (end > 0) {
    const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), end));
    file.read(end - length, std::as_writable_bytes(std::span(piece)).first(length));
    const auto newline = std::string_view(piece).substr(0, length).rfind('\n');
    if (newline != std::string_view::npos)
      return line_before(path, end - length + newline + 1).update;
    end -= length;
  }
  return 0;
}

}  // namespace

std::string_view to_string(Part part) {
  switch (part) {
    case Part::kData: return "data";
    case Part::kLoss: return "loss";
    case Part::kGradient: return "gradient";
    case Part::kParameters: return "parameters";
  }
  return "unknown";
}

Part first_difference(const ledger::UpdateLine& a, const ledger::UpdateLine& b) {
  if (a.batch != b.batch) return Part::kData;
  if (ledger::hex_float(a.loss) != ledger::hex_float(b.loss)) return Part::kLoss;
  return a.grad != b.grad ? Part::kGradient : Part::kParameters;
}

LedgerComparison compare_ledgers(const fs::path& a, const fs::path& b) {
  ledger::Reader::open(a);  // the headers: is this a ledger, of a version we know?
  ledger::Reader::open(b);
  LedgerComparison result;
  result.updates_a = last_update(a);
  result.updates_b = last_update(b);
  const std::uint64_t common = common_lines_end(a, b);
  const Before before = line_before(a, common);
  result.same_until = before.update;
  if (before.update != 0) result.compared_updates = before.update - first_update(a) + 1;

  Side side_a(a, common, before), side_b(b, common, before);
  bool more = side_a.advance() && side_b.advance();
  std::string state_before = before.state;
  while (more) {
    if (side_a.samples() != side_b.samples()) {
      more = side_a.samples() < side_b.samples() ? side_a.advance() : side_b.advance();
      continue;
    }
    result.aligned_by_samples = result.aligned_by_samples || side_a.update() != side_b.update();
    if (side_a.content() != side_b.content()) {
      result.divergence = divergence_of(side_a, side_b);
      result.divergence->state_before = state_before;
      result.tensors = differing_tensors(a, b, side_a, side_b);
      // An edited line differs without its chain differing: look one line further.
      side_a.advance();
      side_b.advance();
      return result;
    }
    ++result.compared_updates;
    result.same_until = side_a.update();
    state_before = state_in(side_a.content());
    more = side_a.advance() && side_b.advance();
  }
  if (result.compared_updates == 0) {
    const auto none = [](std::uint64_t updates) { return updates == 0 ? " (no update yet)" : ""; };
    fail(Code::kMismatch, "{}{} and {}{}: no update after which both had seen as many samples",
         a.native(), none(result.updates_a), b.native(), none(result.updates_b));
  }
  result.same = true;
  return result;
}

}  // namespace reprise::audit
