// What a run was made of, written into its directory: fingerprint.json and snapshot.zip.
#pragma once

#include "experiment/config.h"
#include "experiment/data_facts.h"
#include "train/mode.h"
#include "train/run_log.h"

#include <c10/core/Device.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace reprise::train {

struct FingerprintFacts {
  const experiment::Config& config;
  const experiment::DataFacts& facts;
  const Mode& mode;
  c10::Device device;
  std::string resumed_from;  // empty: a new run
  std::uint64_t from_update = 0;
  std::string state;  // digest of what the first update starts from; the first rank's alone
  unsigned threads = 1;
  int rank = 0;
  int world = 1;
  std::string road;  // of sums over processes
};

// One record of this process, from its start to its end. Destroyed without finish(), the record
// has no end: the process died.
class RunFingerprint {
 public:
  // Captures and records. The first rank also writes a snapshot of the working copy that it runs
  // in, if it is one and the run has none of that content; a snapshot that cannot be made (too
  // large, a secret) is said in the log and left out. Further ranks have no log, and come after the
  // first one. Errors: kIo; kCorrupt for a fingerprint.json that is there and damaged.
  RunFingerprint(const std::filesystem::path& run, const FingerprintFacts& facts, RunLog* log);

  // Digest of what this process captured, without what cannot change bits: equal runs agree.
  const Digest& digest() const { return digest_; }
  void finish(int exit_code);

 private:
  std::filesystem::path run_;
  std::string id_;
  Digest digest_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace reprise::train
