// Whether a run's ledger and checkpoints are whole and belong together.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "ckpt/base/error.h"

namespace reprise::audit {

// The answer for one thing that was looked at.
struct Finding {
  std::string what;     // "ledger.jsonl", "checkpoints/....h5"
  std::string problem;  // empty: whole
  Code code = Code::kNo;
};

// Checks the ledger's chain from end to end, every checkpoint's digests, and that the
// chain digest in each checkpoint is the one the ledger has at that update.
// Cost: one read of ledger and checkpoints, in bounded memory.
// Errors: kIo when the operating system refuses.
std::vector<Finding> check_integrity(const std::filesystem::path& run, unsigned jobs);

}  // namespace reprise::audit
