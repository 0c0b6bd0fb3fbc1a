// The ground truth beside the legacy files, compared with what an upgrade gives.
#pragma once

#include "ckpt/store/upgraded_file.h"

#include <filesystem>
#include <string>
#include <vector>

namespace reprise::testing {

// Every difference between `file` and the truth in `truth_json` (legacy/README.md,
// "expected/F.v5.json"), in words; empty when the upgrade is right.
std::vector<std::string> differences(const store::UpgradedFile& file,
                                     const std::filesystem::path& truth_json);

// The legacy folder under test: REPRISE_LEGACY_DIR of the environment (files of
// another generator seed), else the committed one.
std::filesystem::path legacy_folder();

}  // namespace reprise::testing
