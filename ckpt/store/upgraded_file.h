// A file of any format and version as a version-5 document, with what was done to it.
#pragma once

#include "ckpt/store/load.h"
#include "migrate/steps/upgrade.h"

#include <filesystem>
#include <string>

namespace reprise::store {

struct UpgradedFile {
  std::filesystem::path path;
  std::string container;  // "hdf5", "pth-zip", ...
  migrate::Upgraded upgraded;
  Checkpoint checkpoint;  // validated
};

// Opens `path` (a file, no reference), upgrades and validates in memory.
// Cost and errors: those of open_checkpoint().
UpgradedFile open_upgraded(const std::filesystem::path& path, const LoadOptions& options = {});

}  // namespace reprise::store
