// One digest for a data set: a file, or a directory of files.
#pragma once

#include "ckpt/base/sha256.h"

#include <cstdint>
#include <filesystem>
#include <string>

namespace reprise::fingerprint {

struct DataDigest {
  std::string name;  // "train", "val"
  std::string path;  // where it was read; not part of the digest
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  Digest digest;
};

// SHA-256 over one line a file, sorted by path: path relative to `path`, NUL, size in decimal, NUL,
// SHA-256 of the content in hex, newline. A single file has the empty path. Links are followed,
// so that a data set made of links to a store equals its copy. Order of creation, times and modes
// do not count. Cost: reads every byte, on `jobs` threads (0: one a core).
// Errors: kNotFound, kIo; kCorrupt for a link that leads in a circle.
DataDigest digest_data(const std::string& name, const std::filesystem::path& path,
                       unsigned jobs = 0, bool progress = false);

}  // namespace reprise::fingerprint
