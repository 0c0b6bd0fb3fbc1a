// The checkpoints in a folder, in order, without reading their tensors.
#pragma once

#include "ckpt/state/checkpoint.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace reprise::store {

// One checkpoint file. A .pth twin of an .h5 file is no entry of its own.
struct CheckpointEntry {
  std::filesystem::path path;
  std::optional<std::filesystem::path> twin;
  bool rolling = false;
  std::string type;
  std::uint64_t epoch = 0;   // completed epochs
  std::uint64_t update = 0;  // 0 where unknown
  Uuid uuid;
  std::optional<Uuid> uuid_backbone;
  std::uint64_t bytes = 0;       // with the twin
  std::int64_t modified_ns = 0;  // since 1970
  // Why the file could not be read; uuid is then nil unless the name says it.
  std::optional<std::string> problem;
};

// What is in `folder`, oldest state first: by (epoch, update), then a rolling save
// before a persistent one, then by name. Names of persistent saves are believed; a
// file is opened only where its name does not say enough (rolling saves, several
// saves of one epoch, other people's names).
// Errors: kNotFound, kIo for the folder itself.
std::vector<CheckpointEntry> list_checkpoints(const std::filesystem::path& folder);

}  // namespace reprise::store
