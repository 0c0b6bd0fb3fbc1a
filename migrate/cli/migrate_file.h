// One file from what it is to version 5, verified before anyone can see it.
#pragma once

#include "ckpt/base/error.h"
#include "ckpt/base/json.h"
#include "migrate/cli/batch.h"
#include "migrate/cli/group_sync.h"
#include "migrate/steps/upgrade.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace reprise::migrate {

// What became of one file.
struct FileReport {
  std::filesystem::path source;
  std::filesystem::path target;
  std::optional<std::filesystem::path> backup;  // where the original is now
  std::string container;
  std::optional<int> schema;           // found in the file
  std::optional<std::string> dialect;  // of another trainer
  std::vector<StepReport> steps;
  std::vector<std::string> unmapped;
  std::string source_sha256;  // empty when it could not be read
  std::size_t tensors = 0;
  std::uint64_t tensor_bytes = 0;
  std::string type, uuid, arch;
  bool resumable = false;
  bool ok = false;
  bool already_done = false;  // an earlier run had migrated it
  std::string skipped;        // why nothing was to be done, e.g. half of a pair
  std::string error;
  int exit_code = 0;  // of the error, as docs/exit-codes.md lists them

  // Keys as in the interface: source, target, dialect, from, to, steps, unmapped,
  // source_sha256, ok, error; and more.
  Json json() const;
};

struct FileOptions {
  bool plan = false;  // read and upgrade in memory; write nothing
  unsigned jobs = 0;  // threads for this file
  std::string dialect, arch, arch_head;
  // Bytes of tensors just written, and those just read back; called from any thread.
  std::function<void(std::uint64_t)> on_bytes = {};
};

// Reads, upgrades, writes beside the target, reads that back, compares each tensor's
// digest with one computed from the source, and only then renames it into place.
// With a backup in `item`: the original is first made safe there, then the result
// takes its place. An existing target that holds this very source is kept as done;
// another one is an error. Directories are made durable by `syncs`, which files that are
// migrated at the same time share. Never throws: a failure is in the report.
FileReport migrate_file(const Item& item, const FileOptions& options, GroupSync& syncs);

}  // namespace reprise::migrate
