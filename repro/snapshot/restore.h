// Unpacks a snapshot, trusting nothing in it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace reprise::snapshot {

struct RestoreOptions {
  // Makes links that point out of the tree, in place of refusing them. Nothing is written through
  // a link either way.
  bool allow_links_out = false;
  std::uint64_t limit_bytes = std::uint64_t{1} << 30;
};

struct Restored {
  std::string tree;  // git tree id, computed from the files on disk after they were written
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
};

// Unpacks `zip` as the new directory `target`, which appears whole or not at all (it is made beside
// and renamed). Before the first byte is written, every entry is checked: absolute names, "..",
// anything below ".git", duplicates, a file below a file or link, links out of the tree, devices,
// and sizes beyond the limit are refused. When `expected_tree` is not empty, the tree read back
// from disk has to match it. Errors: kCorrupt naming the entry; kUsage when `target` exists and is
// not an empty directory; kIo.
Restored restore(const std::filesystem::path& zip, const std::filesystem::path& target,
                 const std::string& expected_tree, const RestoreOptions& options = {});

}  // namespace reprise::snapshot
