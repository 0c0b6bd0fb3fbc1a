#include "repro/report/health.h"

#include "ckpt/base/error.h"
#include "repro/audit/integrity.h"
#include "repro/ledger/reader.h"

namespace reprise::report {
namespace {

constexpr const char* kLedger = "ledger.jsonl";

void follow_chain(const std::filesystem::path& path, Health& health) {
  ledger::Reader reader = ledger::Reader::open(path);
  while (const auto line = reader.next()) {
    ++(line->update ? health.updates : health.tensor_records);
    health.chain = reader.chain().hex();
  }
  if (reader.torn_bytes() > 0) {
    health.problems.push_back("the last line is torn; resuming the run repairs that");
  }
}

}  // namespace

Health health_of(const RunRecord& run, bool deep, unsigned jobs) {
  Health health;
  health.problems = run.problems;
  health.has_ledger = std::filesystem::exists(run.path / kLedger);
  if (health.has_ledger) {
    try {
      follow_chain(run.path / kLedger, health);
    } catch (const Error& error) {
      if (error.code() == Code::kIo) throw;
      health.problems.emplace_back(error.what());
    }
  }
  if (!deep) return health;
  health.whole_checkpoints = 0;
  for (const audit::Finding& finding : audit::check_integrity(run.path, jobs)) {
    if (finding.what == kLedger) continue;
    ++health.checkpoints;
    if (finding.problem.empty()) {
      ++*health.whole_checkpoints;
    } else {
      health.problems.push_back(finding.what + ": " + finding.problem);
    }
  }
  return health;
}

Comparison compare(const std::vector<RunRecord>& runs, std::size_t a, std::size_t b) {
  Comparison comparison;
  comparison.a = a;
  comparison.b = b;
  try {
    comparison.ledgers = audit::compare_ledgers(runs[a].path / kLedger, runs[b].path / kLedger);
    if (comparison.ledgers->divergence) {
      comparison.explanations =
          audit::explain(*comparison.ledgers->divergence, runs[a].fingerprint, runs[b].fingerprint);
    }
  } catch (const Error& error) {
    if (error.code() == Code::kIo) throw;
    comparison.why_not = error.what();
  }
  if (runs[a].fingerprint.is_object() && runs[b].fingerprint.is_object()) {
    comparison.fields = fingerprint::differences(runs[a].fingerprint, runs[b].fingerprint);
  }
  return comparison;
}

}  // namespace reprise::report
