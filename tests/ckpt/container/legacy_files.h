// The legacy files with ground truth, and how ours is compared with it.
#pragma once

#include "ckpt/base/json.h"
#include "ckpt/state/value.h"

#include <filesystem>
#include <string>
#include <vector>

namespace reprise::container {

// A folder that generate.py wrote.
struct LegacyFile {
  std::string name;       // relative to the folder
  std::string container;  // "zip", "legacy", "tar", "torchscript", "safetensors"
};

std::vector<LegacyFile> legacy_files(const std::filesystem::path& folder);

// The truth beside a file.
Json expected_of(const std::filesystem::path& folder, const std::string& name);

// An empty string when both say the same, else the path and the two values of the first
// difference. Order counts in arrays, not in objects.
std::string first_difference(const Json& found, const Json& expected);

// {"name": {"dtype", "shape", "sha256"}} of a flat dict of tensors.
Json named_tensors(Value dict);

}  // namespace reprise::container
