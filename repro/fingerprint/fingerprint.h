// The fingerprint of a run: an in-toto Statement v1 with an SLSA provenance v1 predicate, in
// RUN/fingerprint.json. docs/fingerprint.md describes every field.
#pragma once

#include "ckpt/base/json.h"
#include "repro/fingerprint/code_state.h"
#include "repro/fingerprint/data_digest.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace reprise::fingerprint {

inline constexpr const char* kFileName = "fingerprint.json";
inline constexpr const char* kPatchName = "code.patch";
inline constexpr const char* kSnapshotName = "snapshot.zip";

// What the caller knows and the machine does not. All of it is scanned for secrets before it is
// written down.
struct Options {
  std::vector<std::string> command;     // argv of what runs
  std::filesystem::path directory;      // where it runs; empty: here
  Json configuration = Json::object();  // the effective one
  Json seeds = Json::object();          // {"seed": 1337, "gen_seed": 7}
  Json determinism = Json::object();    // {"deterministic": true, "tf32": false, ...}
  Json software = Json::object();       // {"libtorch": "2.11.0", "libtorch_build": "...", ...}
  std::vector<DataDigest> data;
  std::vector<std::string> environment;  // variables beyond the allow list
  bool code = true;                      // false for ranks other than the first of a node
  bool python = false;                   // describe the interpreter behind `command`
  CodeOptions code_options;
};

struct Fingerprint {
  Json statement;
  std::optional<CodeState> code;  // nothing without a repository
};

// Looks at code, machine and environment. Writes nothing. About 5 ms and an lstat for each file
// of the repository. Errors: those of read_code_state.
Fingerprint capture(const Options& options);

// A file that the run wrote about itself, named in the statement by digest.
struct Byproduct {
  std::string name;  // in the run directory
  Digest digest;
  Json annotations = Json::object();
};

// What one process writes about itself, in the order in which processes started.
struct Record {
  std::string kind = "start";  // "start", "resume", or "process" for a further rank
  std::int64_t rank = 0;
  std::int64_t world_size = 1;
  Json details = Json::object();           // {"resumed_from": ...}: anything else worth keeping
  std::vector<Byproduct> byproducts = {};  // such as snapshot.zip; replaces one of the same name
};

// Adds a record of this process to RUN/fingerprint.json and gives its id, which finish() takes.
// The first one writes `fingerprint` and RUN/code.patch; a later record holds what differs from it.
// Safe against other processes that do the same (the directory is locked), and durable.
// Errors: kCorrupt, kUnsupported for a file that is there and cannot be read; kIo.
std::string record(const std::filesystem::path& run, const Fingerprint& fingerprint,
                   const Record& record);

// Notes how the process of a record ended. `exit_code` is 128 + signal for one that was killed.
void finish(const std::filesystem::path& run, const std::string& id, int exit_code,
            double duration_s);

// Names a file that was written after record(), as Record::byproducts would have.
void add_byproduct(const std::filesystem::path& run, const std::string& name, const Digest& digest,
                   const Json& annotations);

// The name for a snapshot of `tree` in a run: "snapshot.zip", "snapshot-2.zip" and so on; nothing
// when the run has one of that tree. Errors: those of load().
std::optional<std::string> name_for_snapshot(const std::filesystem::path& run,
                                             const std::string& tree);

// The statement in `place`, a run directory or a file, checked as far as this suite reads it.
// Errors: kNotFound; kCorrupt, naming what is wrong; kUnsupported for a newer version.
Json load(const std::filesystem::path& place);

}  // namespace reprise::fingerprint
