// Running a stretch of a run again and comparing every line of its ledger.
#pragma once

#include "ckpt/base/json.h"
#include "repro/audit/compare_ledgers.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace reprise::audit {

struct ReplayOptions {
  std::filesystem::path run;
  std::filesystem::path checkpoint;      // from which to start: a file of that run
  std::optional<std::uint64_t> updates;  // how many; nothing: to the end of the ledger
  std::filesystem::path train;           // the program
  std::filesystem::path scratch;         // a directory that does not exist yet; left to the caller
  std::function<void(std::uint64_t)> on_update;  // lines just compared
  // Called every few milliseconds; what it throws ends training and passes through.
  std::function<void()> on_wait;
};

struct ReplayResult {
  bool same = false;
  std::uint64_t first_update = 0;  // the stretch, both ends included
  std::uint64_t last_update = 0;
  std::uint64_t compared = 0;
  std::optional<Divergence> divergence;
};

// Starts `train` from the checkpoint in a directory of its own, compares each line that
// it writes with the run's own while it goes, and stops it at the end of the stretch or
// at the first difference. The run is only read.
// Errors: kMismatch when the checkpoint has no place in the ledger, or nothing lies
// behind it, or when train refuses it; kCorrupt for a broken ledger or checkpoint; kIo with
// the tail of what train said when it fails otherwise; kNotFound without the program.
ReplayResult replay(const ReplayOptions& options);

// The verdict as an in-toto Statement v1 with a test-result v0.1 predicate
// (in-toto attestation framework), ready to be signed.
Json replay_statement(const ReplayOptions& options, const ReplayResult& result);

}  // namespace reprise::audit
