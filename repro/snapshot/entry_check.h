// What an entry of a snapshot may be.
#pragma once

#include "repro/fingerprint/git_tree.h"
#include "repro/snapshot/zip_archive.h"

#include <string>
#include <string_view>
#include <vector>

namespace reprise::snapshot {

// Comment of a directory entry that stands for a submodule, before the id of its commit.
inline const std::string kCommitComment = "git commit ";

// Whether the target of a link at `path` (relative, inside the tree) leaves the tree.
bool points_out(std::string_view path, std::string_view target);

// The leaves that `entries` describe, by the same index, with ids still empty but for submodules.
// Errors: kCorrupt for names that are absolute, hold "..", "." or empty parts, lie below ".git", or
// occur twice; for a file below a file or link; for kinds other than file, link and submodule; and
// when all entries together, or one against its compressed size, are beyond the limits of a bomb.
std::vector<fingerprint::TreeEntry> check_entries(const std::vector<ZipEntry>& entries,
                                                  std::uint64_t limit_bytes);

}  // namespace reprise::snapshot
