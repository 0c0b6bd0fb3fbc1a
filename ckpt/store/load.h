// The one way in: any readable file or reference to a validated checkpoint.
#pragma once

#include "ckpt/state/checkpoint.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace reprise::store {

struct LoadOptions {
  // Check the digest of every byte while opening, where the format has digests, on
  // `jobs` threads. Without it each tensor is checked when its bytes are first asked
  // for, through bounded buffers: what only passes through needs no more.
  bool verify = true;
  unsigned jobs = 0;  // as parallel_for takes it
  // A file without a UUID gets one of its SHA-256, which means reading all of it. False where
  // nobody will look at the UUID, as in a listing of tensors: it is then meaningless.
  bool derive_uuid = true;
  // For old files whose kind cannot be told from their content; see `migrate --help`.
  std::string dialect = {};
  std::string arch = {};
  std::string arch_head = {};
};

// A checkpoint and where it came from. Tensors are lazy views of the file.
struct LoadedCheckpoint {
  Checkpoint checkpoint;
  std::filesystem::path path;   // of the file, a reference resolved
  std::string container;        // "hdf5", "pth-zip", "safetensors", ...
  int schema = kSchemaVersion;  // the version found in the file; 0 when it had none
  std::string dialect;          // of another trainer, else empty
};

// Opens `path_or_reference` (`RUN/<best>` and the like, see reference.h), upgrades
// what is older than version 5 in memory, and validates. Nothing is executed and
// nothing is written. Cost: O(tensors); with `verify` one pass over the bytes, which
// maps them all.
// Errors, each naming the file: kNotFound; kIo; kCorrupt; kUnsupported (newer);
// kIncomplete (never committed); kMismatch for a file that is no checkpoint.
LoadedCheckpoint open_checkpoint(std::string_view path_or_reference,
                                 const LoadOptions& options = {});

// The same, for callers that need the checkpoint alone.
Checkpoint load(std::string_view path_or_reference, const LoadOptions& options = {});

}  // namespace reprise::store
