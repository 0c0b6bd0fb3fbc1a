// Whether a run's record of itself is whole, as the page says it.
#pragma once

#include "repro/audit/compare_ledgers.h"
#include "repro/audit/explain.h"
#include "repro/fingerprint/difference.h"
#include "repro/report/run_record.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace reprise::report {

struct Health {
  bool has_ledger = false;
  std::uint64_t updates = 0;  // lines of updates whose chain fits
  std::uint64_t tensor_records = 0;
  std::string chain;  // digest behind the last line; empty without one
  std::vector<std::string> problems;
  // With checkpoints looked at: how many are whole.
  std::optional<std::uint64_t> whole_checkpoints;
  std::uint64_t checkpoints = 0;
};

// Follows the ledger's chain from end to end; with `deep` also checks every checkpoint's digests
// and its place in the chain, which reads them all. What is wrong becomes a problem.
// Errors: kIo.
Health health_of(const RunRecord& run, bool deep, unsigned jobs);

// How one run differs from another.
struct Comparison {
  std::size_t a = 0, b = 0;  // positions of the runs
  std::optional<audit::LedgerComparison> ledgers;
  std::string why_not;  // without `ledgers`: why they were not compared
  std::vector<audit::Explanation> explanations;
  std::vector<fingerprint::Difference> fields;
};

// Errors: kIo.
Comparison compare(const std::vector<RunRecord>& runs, std::size_t a, std::size_t b);

}  // namespace reprise::report
