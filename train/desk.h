// What only the first rank has: the run directory and everything that writes to it.
#pragma once

#include "ckpt/base/error.h"
#include "experiment/parts.h"
#include "train/beginning.h"
#include "train/loop.h"
#include "train/rank.h"
#include "train/run_fingerprint.h"
#include "train/run_ledger.h"
#include "train/run_log.h"
#include "train/start.h"

#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace reprise::train {

// Made when nothing can be refused any more that is known before the first update: from here on
// there is a run directory.
struct Desk {
  // Opens the run directory and writes what the run is and starts from. `state`: digest of what
  // the first update starts from. Errors: those of open_run(); kMismatch for a ledger that does not
  // continue; kIo.
  Desk(const StartPoint& start, const experiment::DataFacts& facts,
       const experiment::DataSets& data, const Rank& rank, Beginning& beginning,
       const std::string& state, Io& io);

  // The last lines of a run that ended with an error, as far as the disk takes them, and of one
  // that did not.
  void failed(const std::exception& error) noexcept;
  void ended(const TrainingProgress& progress, const LoopResult& result, int exit_code);

  OpenedRun run;
  RunLog log;
  std::optional<RunFingerprint> fingerprint;
  std::unique_ptr<RunLedger> ledger;
};

FingerprintFacts fingerprint_facts(const StartPoint& start, const experiment::DataFacts& facts,
                                   const Rank& rank, const Beginning& beginning,
                                   const std::string& state);

// The run directory, which the first rank alone knows, on all of them.
std::filesystem::path shared_directory(const std::optional<Desk>& desk,
                                       engine::Communicator& communicator);

}  // namespace reprise::train
