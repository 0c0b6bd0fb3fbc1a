#include "repro/audit/integrity.h"

#include "ckpt/container/open.h"
#include "ckpt/store/load.h"
#include "ckpt/store/run_directory.h"
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

void check_position(const fs::path& file,
                    const std::map<std::uint64_t, std::vector<Digest>>& chains) {
  const Checkpoint checkpoint = store::load(file.native(), {.verify = false});
  if (!checkpoint.ledger) return;
  const auto at = chains.find(checkpoint.ledger->update);
  const bool known = at != chains.end() &&
                     std::ranges::find(at->second, checkpoint.ledger->chain) != at->second.end();
  if (known) return;
  fail(Code::kNo, "saved at update {} with chain {}, which the ledger does not have there",
       checkpoint.ledger->update, checkpoint.ledger->chain.hex());
}

}  // namespace

std::vector<Finding> check_integrity(const fs::path& run, unsigned jobs) {
  if (!fs::exists(run / "run.json")) return {};  // captured from another program
  const store::RunDirectory directory = store::RunDirectory::open(run);
  std::vector<Finding> findings;
  // Only updates that a checkpoint was saved at are kept in memory.
  std::map<std::uint64_t, std::vector<Digest>> chains;
  const std::vector<store::CheckpointEntry> entries = directory.list();
  for (const store::CheckpointEntry& entry : entries) {
    if (entry.problem) continue;
    const Checkpoint checkpoint = store::load(entry.path.native(), {.verify = false});
    if (checkpoint.ledger) chains[checkpoint.ledger->update];
  }
  const fs::path ledger = directory.file("ledger.jsonl");
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
      if (has_ledger) check_position(entry.path, chains);
    }));
  }
  return findings;
}

}  // namespace reprise::audit
