// File names of checkpoints: what a directory listing tells without opening a file.
//
//   persistent  checkpoint_{type}[_for_{uuid_backbone}]_{arch}[_{arch_head}]_ep{epoch:04}_{uuid}.h5
//   rolling     checkpoint_{type}_{arch}[_{arch_head}].h5
#pragma once

#include "ckpt/base/uuid.h"
#include "ckpt/state/checkpoint.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace reprise::store {

enum class SaveKind : std::uint8_t {
  kPersistent,  // a file of its own for each save
  kRolling,     // one file, replaced by each save
};

// The file name of a save, suffix ".h5" included. Characters of an architecture's
// name that do not belong into file names become '-'; an unknown one is "unknown".
std::string checkpoint_name(const Checkpoint& checkpoint, SaveKind kind);

// What a name says. Architecture and head cannot be told apart by the name alone
// (both may hold '_'), so they stay together.
struct CheckpointName {
  std::string type;  // "dino", "supervised", "model"; "head", "backbone" of old versions
  std::string arch_and_head;
  std::optional<Uuid> uuid_backbone;
  // Persistent names only.
  std::optional<std::uint64_t> epoch;
  std::optional<Uuid> uuid;
};

// Nothing for the name of any other file. Accepts the suffixes .h5 and .pth.
std::optional<CheckpointName> parse_checkpoint_name(std::string_view file_name);

}  // namespace reprise::store
