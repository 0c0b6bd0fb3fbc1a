// The state of a git working copy: what is checked out, and what differs from the commit.
#pragma once

#include "repro/fingerprint/git_tree.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace reprise::fingerprint {

struct Submodule {
  std::string path;
  std::string url;       // without credentials
  std::string recorded;  // the commit that the index names
  std::string commit;    // the commit checked out; empty when it is not initialized
  bool dirty = false;    // its working copy differs from `commit`
  std::string tree;      // as CodeState::tree
};

// A file that the patch does not carry, and why.
struct Omission {
  std::string path;
  std::string reason;
};

// A working copy as it was at the moment of capture.
struct CodeState {
  std::filesystem::path root;
  std::string commit;  // empty: no commits yet
  std::string branch;  // empty: detached HEAD
  std::string remote;  // URL without credentials; empty: none
  bool bare = false;
  bool worktree = false;          // a linked working tree (`git worktree add`)
  bool owned_by_another = false;  // git itself would refuse it (safe.directory)
  // The working copy's tree differs from the commit's, untracked files included.
  bool dirty = false;
  // What `git add -A && git write-tree` would print: ignored files left out, and the files of runs.
  std::string tree;
  std::vector<TreeEntry> entries;
  // Applies to `commit` with `git apply --index` and gives `tree`, but for `omitted`.
  std::string patch;
  std::vector<Omission> omitted;
  // Files that could not be read, or that a filter git would run (LFS) did not pass through.
  std::vector<Omission> notes;
  std::vector<std::string>
      runs;  // untracked run directories, relative to `root`, that were left out
  std::vector<Submodule> submodules;
};

struct CodeOptions {
  // Untracked files below these directories are no code: what a run writes must not change what the
  // next one is made of. Directories that hold a fingerprint or a ledger are found without it.
  std::vector<std::filesystem::path> leave_out = {};
  bool patch = true;
  std::uint64_t patch_limit_bytes = 8u << 20;
  std::uint64_t patch_file_limit_bytes = 1u << 20;
  unsigned jobs = 0;
};

// The working copy that holds `place`, or nothing when no repository does.
//
// Nothing is written: neither index nor objects of the user's repository change, and nothing
// that its configuration names (hooks, filters, monitors) is run, which is also why a repository of
// another owner is read although git would refuse it. Files whose stat data the index knows are not
// read; the others are hashed in parallel. Cost: one lstat a file, plus reading what changed.
// Errors: kIo; kCorrupt for a damaged repository; kUnsupported for SHA-256 repositories.
std::optional<CodeState> read_code_state(const std::filesystem::path& place,
                                         const CodeOptions& options = {});

// `url` without user name, password and query: what may be written down. A user name alone is kept
// for ssh, where it is part of the address ("git@host").
std::string without_credentials(std::string_view url);

}  // namespace reprise::fingerprint
