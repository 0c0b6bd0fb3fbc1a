// A run as an RO-Crate 1.1 with the Process Run Crate profile 0.5 (researchobject.org): a folder
// that says in JSON-LD what made which file.
#pragma once

#include "repro/report/run_record.h"

#include <filesystem>
#include <string>

namespace reprise::exporting {

struct CrateOptions {
  std::string license;  // URL or text; empty: the crate says that none was stated
  std::string author;   // empty: none
};

// Makes `target` with ro-crate-metadata.json and copies of the files that describe the run.
// Checkpoints stay where they are and are listed with name and size in the description of the run.
// `target` appears whole or not at all. Errors: kMismatch when it exists; kIo.
void export_ro_crate(const report::RunRecord& run, const CrateOptions& options,
                     const std::filesystem::path& target);

}  // namespace reprise::exporting
