// What verifying a file found: a value, never an exception.
#pragma once

#include "ckpt/base/error.h"

#include <cstdint>
#include <string>
#include <vector>

namespace reprise::container {

// One thing that is wrong in a file.
struct Problem {
  Code code = Code::kCorrupt;
  std::string tensor;              // slash path of the tensor it lies in, or empty
  std::uint64_t offset_bytes = 0;  // first byte of the damaged range
  std::string message;             // complete: what was found, expected, and the next act
};

struct VerifyReport {
  std::vector<Problem> problems;  // in the order of the file
  std::uint64_t bytes_read = 0;
  bool has_digests = false;  // false: the format carries none, only structure was checked
  bool ok() const { return problems.empty(); }
};

}  // namespace reprise::container
