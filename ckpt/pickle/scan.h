// What a Python loader would import if it opened a pickle, found without opening it.
#pragma once

#include "ckpt/base/bytes.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace reprise::pickle {

enum class Verdict {
  kKnown,      // part of checkpoints, and harmless to import and call
  kUnknown,    // code of some package: harmless or not depends on that package
  kDangerous,  // runs commands, reads or writes files, loads code, or reaches what does
};

std::string_view to_string(Verdict verdict);

struct Judgement {
  Verdict verdict = Verdict::kUnknown;
  std::string_view reason;  // one clause, static text
};

// The verdict on "module.name". Errs towards dangerous.
Judgement judge(std::string_view full_name);

struct GlobalUse {
  std::string name;                // "module.name" as Python 3 resolves it
  std::uint64_t offset_bytes = 0;  // of the opcode that imports it
  Judgement judgement;
};

struct PickleScan {
  std::vector<GlobalUse> globals;  // in the order of the file, each place it is imported
  std::uint64_t size_bytes = 0;    // up to and including STOP, or to where it breaks
  bool complete = false;           // STOP was reached
  std::string problem;             // why it was not
};

// Follows one pickle from the start of `bytes`, more tolerant than any unpickler: it goes
// on where Python would fail for the types of values, so that nothing hides behind a
// mistake, and reports what was found when the bytes stop making sense. A name that is
// computed, or fetched from a memo entry that was never set, is reported as "?".
// Linear in the size; at most 64 bytes of memory for each byte of the pickle.
// Errors: none for any content.
PickleScan scan(Bytes bytes, std::uint64_t base_offset = 0);

}  // namespace reprise::pickle
