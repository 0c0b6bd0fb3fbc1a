// One door for files of every format: recognised by content, never by name.
#pragma once

#include "ckpt/base/file.h"
#include "ckpt/container/hdf5.h"
#include "ckpt/container/verify.h"
#include "ckpt/state/value.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>

namespace reprise::container {

enum class Format {
  kNative,       // our HDF5
  kForeignHdf5,  // Keras, h5py
  kSafetensors,
  kPthZip,       // torch.save since 1.6
  kTorchScript,  // the same container with code in it
  kPthLegacy,    // torch.save before 1.6: pickles in a row
  kPthTar,       // torch.save 0.1
};

// "hdf5", "hdf5-foreign", "safetensors", "pth-zip", "torchscript", "pth-legacy", "pth-tar":
// what Document::container says.
std::string_view to_string(Format format);

// The format of a file. A file that two formats would accept (a polyglot) is
// refused: what it holds would depend on who opens it.
// Errors: kNotFound; kIo; kIncomplete for an empty or never committed file; kCorrupt
// for a polyglot and for content of no known format, saying what it looks like.
Format sniff(const std::filesystem::path& path);
Format sniff(const MappedFile& file);

struct OpenOptions {
  Verify verify = Verify::kAll;  // digests and checksums, where the format has them
  unsigned jobs = 0;             // 0: one a core
  // Of the tensors of a native file: past the cache, it is the disk that is compared with.
  MappedFile::Reads reads = MappedFile::Reads::kCached;
};

// The content of a checkpoint file of any format, tensors unread where verifying
// does not need them. Nothing in the file is ever executed.
// Errors: those of sniff(); kUnsupported; kCorrupt, naming file, place and next act.
Document open(const std::filesystem::path& path, const OpenOptions& options = {});

struct VerifyOptions {
  unsigned jobs = 0;
  bool deep = false;  // native files: also compare with what libhdf5 sees
  std::function<void(std::uint64_t)> on_bytes = {};  // bytes just read; called from any thread
};

// Checks all that can be checked of a file without its schema: structure, digests,
// checksums, readability of each tensor. A damaged, newer or incomplete file is a
// problem in the report, with its code. Memory is bounded, whatever the file's size.
// Errors: kNotFound, kIo.
VerifyReport verify(const std::filesystem::path& path, const VerifyOptions& options = {});

}  // namespace reprise::container
