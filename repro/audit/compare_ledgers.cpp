#include "repro/audit/compare_ledgers.h"

#include "ckpt/base/error.h"
#include "repro/audit/line_stream.h"
#include "repro/ledger/reader.h"

#include <algorithm>
#include <unordered_map>

namespace reprise::audit {
namespace fs = std::filesystem;

namespace {

// One side of the comparison: update lines on demand, the last tensors line remembered.
class Side {
 public:
  Side(const fs::path& path, std::uint64_t offset) : path_(path), stream_(path, offset) {}

  // Moves to the next update's line; false at the end.
  bool advance() {
    while (const auto line = stream_.next()) {
      check_chain(line->text);
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

  ledger::UpdateLine parsed() const {
    try {
      return ledger::parse_line(text_).update.value();
    } catch (const Error& error) {
      throw error.at(fmt::format("{}: byte {}", path_.native(), offset_));
    }
  }

 private:
  // Only lines behind the common prefix come here, so digesting each is affordable.
  void check_chain(std::string_view line) {
    if (chain_) {
      const auto at = line.rfind("\"prev\":\"");
      const std::string_view prev = at == std::string_view::npos ? "" : line.substr(at + 8, 64);
      if (prev != chain_->hex()) {
        fail(Code::kCorrupt,
             "{}: byte {}: its 'prev' is not the digest of the line before, which was edited, "
             "removed or repeated",
             path_.native(), stream_.offset_bytes());
      }
    }
    chain_ = ledger::chain_of(line);
  }

  fs::path path_;
  LineStream stream_;
  std::optional<Digest> chain_;
  std::uint64_t update_ = 0, samples_ = 0, offset_ = 0;
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

// The first tensors line at or behind `offset` whose update is at least `update`.
std::optional<ledger::TensorsLine> tensors_behind(const fs::path& path, std::uint64_t offset,
                                                  std::uint64_t update) {
  LineStream stream(path, offset);
  while (const auto line = stream.next()) {
    if (line->is_tensors && line->update >= update) return ledger::parse_line(line->text).tensors;
  }
  return std::nullopt;
}

DifferingTensors differing_tensors(const fs::path& a, const fs::path& b, std::uint64_t offset_a,
                                   std::uint64_t offset_b, std::uint64_t update) {
  DifferingTensors result;
  auto line_a = tensors_behind(a, offset_a, update);
  auto line_b = tensors_behind(b, offset_b, update);
  // Recorded at another cadence: go on to an update that both have.
  while (line_a && line_b && line_a->update != line_b->update) {
    if (line_a->update < line_b->update) {
      line_a = tensors_behind(a, offset_a, line_b->update);
    } else {
      line_b = tensors_behind(b, offset_b, line_a->update);
    }
  }
  if (!line_a || !line_b) return result;
  result.update = line_a->update;
  std::unordered_map<std::string, std::string> others(line_b->digests.begin(),
                                                      line_b->digests.end());
  for (const auto& [name, digest] : line_a->digests) {
    const auto other = others.find(name);
    if (other == others.end()) continue;
    ++result.recorded;
    if (other->second != digest) result.names.push_back(name);
  }
  return result;
}

// The update of the last line of a ledger, 0 when it has none.
std::uint64_t last_update(const fs::path& path) {
  const File file = File::open(path);
  const std::uint64_t size = file.size();
  // Backwards by growing pieces until a whole line is inside.
  for (std::uint64_t tail = std::min<std::uint64_t>(size, 64 << 10);;
       tail = std::min(size, tail * 4)) {
    std::string text(tail, '\0');
    file.read(size - tail, std::as_writable_bytes(std::span(text)));
    const auto end = text.rfind('\n');
    const auto begin =
        end == std::string::npos || end == 0 ? std::string::npos : text.rfind('\n', end - 1);
    if (begin != std::string::npos) {
      const auto parsed =
          ledger::parse_line(std::string_view(text).substr(begin + 1, end - begin - 1));
      return parsed.update ? parsed.update->update : parsed.tensors->update;
    }
    if (tail == size || tail > ledger::kLongestLine * 2) return 0;
  }
}

// The last update before a place in the ledger, and the state that it left.
struct Before {
  std::uint64_t update = 0;
  std::string state;
};

// The line that ends at `end`; nothing for the header.
Before line_before(const fs::path& path, std::uint64_t end) {
  const File file = File::open(path);
  for (std::uint64_t tail = std::min<std::uint64_t>(end, 64 << 10);;
       tail = std::min(end, tail * 4)) {
    std::string text(tail, '\0');
    file.read(end - tail, std::as_writable_bytes(std::span(text)));
    const auto begin = text.size() < 2 ? std::string::npos : text.rfind('\n', text.size() - 2);
    if (begin != std::string::npos) {
      const auto parsed =
          ledger::parse_line(std::string_view(text).substr(begin + 1, text.size() - begin - 2));
      if (parsed.update) return {parsed.update->update, parsed.update->param};
      // The update's own line stands in front of its tensors.
      Before before = line_before(path, end - (text.size() - begin - 1));
      before.update = parsed.tensors->update;
      return before;
    }
    if (tail == end) return {};
  }
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
  result.same_until = result.compared_updates = before.update;

  Side side_a(a, common), side_b(b, common);
  bool more = side_a.advance() && side_b.advance();
  const bool both_go_on = more;
  std::uint64_t aligned = 0;
  std::string state_before = before.state;
  while (more) {
    if (side_a.samples() != side_b.samples()) {
      result.aligned_by_samples = true;
      more = side_a.samples() < side_b.samples() ? side_a.advance() : side_b.advance();
      continue;
    }
    ++aligned;
    if (side_a.content() != side_b.content()) {
      result.divergence = divergence_of(side_a, side_b);
      result.divergence->state_before = state_before;
      result.tensors =
          differing_tensors(a, b, side_a.offset_bytes(), side_b.offset_bytes(), side_a.update());
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
  if (both_go_on && aligned == 0 && result.compared_updates == 0) {
    fail(Code::kMismatch, "{} and {}: no update after which both had seen as many samples",
         a.native(), b.native());
  }
  result.same = true;
  return result;
}

}  // namespace reprise::audit
