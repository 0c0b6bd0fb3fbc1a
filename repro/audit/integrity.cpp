#include "repro/audit/integrity.h"

#include "ckpt/container/open.h"
#include "ckpt/store/checkpoint_list.h"
#include "ckpt/store/load.h"
#include "repro/ledger/reader.h"

#include <fmt/format.h>

#include <map>

namespace reprise::audit {
namespace fs = std::filesystem;

namespace {

Finding finding(std::string what, const std::function<void()>& body) {
  try {
    body();
    return {std::move(what), {}, Code::kNo};
  } catch (const Error& error) {
    if (error.code() == Code::kIo) throw;
    return {std::move(what), error.what(), error.code()};
  }
}

void check_digests(const fs::path& file, unsigned jobs) {
  container::VerifyOptions options;
  options.jobs = jobs;
  const container::VerifyReport report = container::verify(file, options);
  if (!report.ok()) throw Error(report.problems.front().code, report.problems.front().message);
}

// What the ledger had behind each update that a checkpoint was saved at.
using Chains = std::map<std::uint64_t, std::vector<Digest>>;

// `chains` is null for a run without a ledger.
void check_position(const fs::path& file, const Chains* chains) {
  const Checkpoint checkpoint = store::load(file.native(), {.verify = false});
  if (!checkpoint.ledger) return;
  if (chains == nullptr) {
    fail(Code::kNo, "saved at update {} of a ledger, which is missing: there is no ledger.jsonl",
         checkpoint.ledger->update);
  }
  const auto at = chains->find(checkpoint.ledger->update);
  const bool known = at != chains->end() &&
                     std::ranges::find(at->second, checkpoint.ledger->chain) != at->second.end();
  if (known) return;
  fail(Code::kNo, "saved at update {} with chain {}, which the ledger does not have there",
       checkpoint.ledger->update, checkpoint.ledger->chain.hex());
}

}  // namespace

std::vector<Finding> check_integrity(const fs::path& run, unsigned jobs) {
  // One captured from another program has none of these. One of them is enough: a run must not be
  // whole because somebody took the file away that says it is one.
  if (!fs::exists(run / "run.json") && !fs::exists(run / "ledger.jsonl") &&
      !fs::exists(run / "checkpoints")) {
    return {};
  }
  std::vector<Finding> findings;
  // Only updates that a checkpoint was saved at are kept in memory.
  Chains chains;
  const fs::path folder = run / "checkpoints";
  std::vector<store::CheckpointEntry> entries;
  if (fs::exists(folder)) entries = store::list_checkpoints(folder);
  for (const store::CheckpointEntry& entry : entries) {
    if (entry.problem) continue;
    const Checkpoint checkpoint = store::load(entry.path.native(), {.verify = false});
    if (checkpoint.ledger) chains[checkpoint.ledger->update];
  }
  const fs::path ledger = run / "ledger.jsonl";
  const bool has_ledger = fs::exists(ledger);
  if (has_ledger) {
    findings.push_back(finding("ledger.jsonl", [&] {
      ledger::Reader reader = ledger::Reader::open(ledger);
      if (const auto start = chains.find(0); start != chains.end())
        start->second.push_back(reader.chain());
      while (const auto line = reader.next()) {
        const std::uint64_t update = line->update ? line->update->update : line->tensors->update;
        // A checkpoint's chain may be the one behind the update or behind its tensors.
        if (const auto wanted = chains.find(update); wanted != chains.end())
          wanted->second.push_back(reader.chain());
      }
      if (reader.torn_bytes() > 0) {
        fail(Code::kNo, "the last line is torn ({} bytes); resuming repairs that",
             reader.torn_bytes());
      }
    }));
  }
  for (const store::CheckpointEntry& entry : entries) {
    const std::string name = fs::relative(entry.path, run).native();
    findings.push_back(finding(name, [&] {
      if (entry.problem) fail(Code::kCorrupt, "{}", *entry.problem);
      check_digests(entry.path, jobs);
      check_position(entry.path, has_ledger ? &chains : nullptr);
    }));
  }
  return findings;
}

}  // namespace reprise::audit
