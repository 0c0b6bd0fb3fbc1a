// What differs between two fingerprints, ordered by how likely it changes bits.
#pragma once

#include "ckpt/base/json.h"
#include "ckpt/base/sha256.h"

#include <cstdint>
#include <string>
#include <vector>

namespace reprise::fingerprint {

// How likely a difference in a field changes the bits of a run.
enum class Influence : std::uint8_t { kLikely, kPossible, kUnlikely };

std::string_view to_string(Influence influence);

struct Difference {
  std::string field;  // "seeds.seed", "code.tree", "environment.OMP_NUM_THREADS"
  Json a;             // null: the field is missing there
  Json b;
  Influence influence;
  int rank;  // of its kind: seed, code, data, batch, determinism, libraries, GPU, then the rest
};

// The fields of a fingerprint (the statement, as load() gives it) as one tree: {seeds, code, data,
// configuration, determinism, software, hardware, environment, job, command, directory}.
Json fields(const Json& statement);

// Every field that differs, most likely cause first; empty when none does. Records of processes
// (start times, process ids) are not compared. O(fields).
std::vector<Difference> differences(const Json& statement_a, const Json& statement_b);

// The record of the process that computed update `update` of a run: the last one that started
// before it. Null when no record says from which update its process went on.
const Json* process_of(const Json& statement, std::uint64_t update);

// As differences(), for the processes that computed `update_a` of one run and `update_b` of the
// other one: what a resume changed counts from there on.
std::vector<Difference> differences_at(const Json& statement_a, std::uint64_t update_a,
                                       const Json& statement_b, std::uint64_t update_b);

// SHA-256 over the fields that are likely or possible to change bits, in canonical JSON: two runs
// with one digest are expected to give the same bits.
Digest digest(const Json& statement);

}  // namespace reprise::fingerprint
