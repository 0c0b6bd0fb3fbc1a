// The one way out: a checkpoint to a file, durably, under its name.
#pragma once

#include "ckpt/container/hdf5.h"
#include "ckpt/state/checkpoint.h"
#include "ckpt/store/checkpoint_name.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace reprise::store {

struct SaveOptions {
  SaveKind kind = SaveKind::kPersistent;
  bool pth_twin = false;  // also the same name with .pth, for PyTorch
  unsigned jobs = 0;      // as parallel_for takes it
  // The processes that write the .h5 together, of which this is the first; the others are in
  // save_share(). Not with a twin, for which one process has to read every tensor.
  // After an error nothing more is to be saved with it: the others may wait for a file that does
  // not come, until the crew is destroyed.
  container::Crew* crew = nullptr;
};

struct SaveReport {
  std::filesystem::path path;
  std::optional<std::filesystem::path> twin;  // the .pth
  std::uint64_t bytes = 0;                    // of all files written
  double seconds = 0;
};

// Writes `checkpoint` into `directory` (which exists) under checkpoint_name() and
// returns when file and directory entry have reached the disk. Until then an older
// file of that name is untouched; a process killed on the way leaves only a
// temporary file. A rolling save that replaces a file which another run needs as
// its backbone keeps that one under its persistent name.
// Tensors are read on `jobs` threads; nobody may write to their memory meanwhile.
// Errors: kIo (disk full, no permission), kNotFound (no directory), kCorrupt when the
// checkpoint's fields contradict each other. After an error no file of these names has
// changed, but for an .h5 whose twin failed. That of another process of the crew, with its name.
SaveReport save(const Checkpoint& checkpoint, const std::filesystem::path& directory,
                const SaveOptions& options = {});

enum class FileFormat : std::uint8_t { kHdf5, kPth, kSafetensors };

// By suffix: .h5 (.hdf5), .pth (.pt), .safetensors.
// Errors: kUsage for another one.
FileFormat format_of(const std::filesystem::path& file);

// What `format` cannot hold of `checkpoint`, as field names; empty when nothing is lost.
std::vector<std::string> losses(const Checkpoint& checkpoint, FileFormat format);

struct SaveAsOptions {
  unsigned jobs = 0;
  container::Publish publish = container::Publish::kReplace;
  std::function<void(std::uint64_t)> on_bytes = {};  // bytes just written; called from any thread
};

// Writes `checkpoint` to exactly `file` in the format of its suffix, as durably as
// save(). What the format cannot hold (see losses()) is left out.
// Errors: those of save(); kUsage for an unknown suffix.
SaveReport save_as(const Checkpoint& checkpoint, const std::filesystem::path& file,
                   const SaveAsOptions& options = {});

}  // namespace reprise::store
