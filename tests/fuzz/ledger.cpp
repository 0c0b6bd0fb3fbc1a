// Ledgers from anywhere, read and compared with a whole one: either an Error of a file, or an
// answer. What the reader accepts, its own writer's form gives back.
#include "repro/audit/compare_ledgers.h"
#include "repro/audit/explain.h"
#include "repro/ledger/reader.h"

#include "ckpt/base/error.h"
#include "tests/fuzz/memory_file.h"

namespace {

using namespace reprise;

const std::string& whole_ledger() {
  static const std::string text = [] {
    std::string out = std::string(ledger::kHeaderLine) + "\n";
    Digest chain = ledger::chain_of(ledger::kHeaderLine);
    for (std::uint64_t update = 1; update <= 4; ++update) {
      ledger::UpdateLine line;
      line.update = update;
      line.samples = update * 8;
      line.loss = 0.75;
      line.batch = line.grad = line.param = line.rng = std::string(32, '0');
      const std::string written = ledger::encode(line, chain);
      chain = ledger::chain_of(written);
      out += written + "\n";
    }
    return out;
  }();
  return text;
}

void require_of_a_file(const Error& error) {
  if (error.code() == Code::kInternal || error.code() == Code::kUsage) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const MemoryFile file(data, size);
  try {
    ledger::Reader reader = ledger::Reader::open(file.path());
    Digest before = reader.chain();
    while (const auto line = reader.next()) {
      const std::string again = line->update ? ledger::encode(*line->update, before)
                                             : ledger::encode(*line->tensors, before);
      if (ledger::parse_line(again).prev != line->prev) std::abort();
      before = reader.chain();
    }
  } catch (const Error& error) {
    require_of_a_file(error);
  }
  const std::string& whole = whole_ledger();
  const MemoryFile other(reinterpret_cast<const std::uint8_t*>(whole.data()), whole.size());
  for (const auto& [a, b] :
       {std::pair{file.path(), other.path()}, std::pair{other.path(), file.path()}}) {
    try {
      const auto comparison = audit::compare_ledgers(a, b);
      if (audit::summary(comparison).empty()) std::abort();
      if (comparison.divergence) audit::explain(*comparison.divergence, nullptr, nullptr);
    } catch (const Error& error) {
      require_of_a_file(error);
    }
  }
  return 0;
}
