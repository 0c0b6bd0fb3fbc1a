// Lines of a ledger: what one update did, as text that is compared byte by byte.
#pragma once

#include "ckpt/base/sha256.h"
#include "repro/ledger/tensor_digest.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace reprise::ledger {

// The first line of every ledger. It names the format and nothing of the run, so
// that equal runs have equal chains.
inline constexpr std::string_view kHeaderLine = R"({"ledger":1,"digest":"leaf64k-mul-1"})";

// One update. Digests are 32 hexadecimal digits.
struct UpdateLine {
  std::uint64_t update = 0;   // optimizer steps done after it, from 1
  std::uint64_t epoch = 0;    // the epoch it belongs to, from 0
  std::uint64_t samples = 0;  // samples seen after it, over the whole run
  std::string batch;          // the sample ids of its global batch
  double loss = 0;            // mean over the global batch, before the step
  std::string grad;           // the reduced gradients, before clipping
  std::string param;          // weights, buffers and optimizer state after the step
  std::string rng;            // seed and stream positions
  bool operator==(const UpdateLine&) const = default;
};

// One digest per tensor, after the update named; a line of its own.
struct TensorsLine {
  std::uint64_t update = 0;
  std::vector<std::pair<std::string, std::string>> digests;  // name, 32 digits
};

// A float so that nothing is rounded: C's %a form with "0x1.8e3p-1" as Python's
// float.hex() writes it without padding, "inf", "-inf", "nan".
std::string hex_float(double value);
std::optional<double> parse_hex_float(std::string_view text);

// The line without its newline, ending with "prev": the chain digest so far.
std::string encode(const UpdateLine& line, const Digest& prev);
std::string encode(const TensorsLine& line, const Digest& prev);

// The chain after a line: SHA-256 of its bytes without the newline.
inline Digest chain_of(std::string_view line) { return sha256(line); }

// A line as read back. Exactly one of `update` and `tensors` is set.
struct ParsedLine {
  std::optional<UpdateLine> update;
  std::optional<TensorsLine> tensors;
  Digest prev;
};
// Errors: kCorrupt saying what is wrong with the line; kUnsupported never.
ParsedLine parse_line(std::string_view line);

}  // namespace reprise::ledger
