// Git's object names, computed without a repository: blob and tree ids as `git write-tree` gives
// them (Documentation/gitformat-pack, "tree" and "blob" objects, SHA-1 object format).
#pragma once

#include "ckpt/base/bytes.h"

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace reprise::fingerprint {

// The name of a git object: SHA-1 over its header and content. A value type.
struct GitId {
  std::array<std::byte, 20> bytes{};
  std::string hex() const;
  auto operator<=>(const GitId&) const = default;
};

// File modes as a tree stores them. DO NOT CHANGE: they are part of what is hashed.
enum class GitMode : std::uint32_t {
  kFile = 0100644,
  kExecutable = 0100755,
  kLink = 0120000,
  kCommit = 0160000,  // a submodule
};

// One leaf of a tree. `path` is relative to the root, with '/' between parts, in any bytes.
struct TreeEntry {
  std::string path;
  GitMode mode;
  GitId id;
};

GitId blob_id(Bytes content);
// A regular file by its content, a symbolic link by its target; no filters (line ends, LFS) are
// applied. Reads in 1 MiB pieces: any size in constant memory, about 1 GB/s.
// Errors: kNotFound, kIo; kIo when the file changes its size while it is read.
GitId file_id(const std::filesystem::path& path, GitMode mode);

// The id of the tree that holds `entries`, in any order, each path once. O(entries).
// Errors: kCorrupt when two entries contradict (a path twice, or below a file).
GitId tree_id(std::vector<TreeEntry> entries);

}  // namespace reprise::fingerprint
