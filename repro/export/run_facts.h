// What both layouts say about a run.
#pragma once

#include "ckpt/base/json.h"
#include "repro/report/run_record.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace reprise::exporting {

// "2026-11-21T00:29:11Z" as milliseconds since 1970; 0 for what is no such time.
std::int64_t milliseconds_of(const std::string& iso_time);

// Files of a run that are small and say what it was: everything at its top but checkpoints,
// private state and event files. Sorted by name.
std::vector<std::string> describing_files(const std::filesystem::path& run);

// The command that the run was started with, as one line; empty where nobody knows.
std::string command_of(const report::RunRecord& run);

// A member of the fingerprint's externalParameters; an empty object where there is none.
Json parameters_of(const report::RunRecord& run, const char* key);

// Copies `names` from the run. Errors: kIo.
void copy_files(const std::filesystem::path& run, const std::vector<std::string>& names,
                const std::filesystem::path& to);

}  // namespace reprise::exporting
