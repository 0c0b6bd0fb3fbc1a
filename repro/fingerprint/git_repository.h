// Read-only access to a git repository through libgit2, in terms of this room.
#pragma once

#include "repro/fingerprint/git_tree.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace reprise::fingerprint {

// An open repository. Movable; one thread at a time. Nothing is ever written to it, and nothing
// that its configuration names (hooks, filters, monitors, external diffs) is run.
// Errors, for all that reads it: kIo; kCorrupt for a damaged repository; kUnsupported for features
// newer than libgit2, such as SHA-256 object names.
class GitRepository {
 public:
  // The repository that `place` lies in, or with `exact` the one whose root it is.
  static std::optional<GitRepository> open(const std::filesystem::path& place, bool exact);
  GitRepository(GitRepository&&) noexcept;
  ~GitRepository();

  // git would refuse it: its files belong to somebody else, and safe.directory does not list it.
  bool owned_by_another() const { return owned_by_another_; }
  bool bare() const;
  bool worktree() const;
  // The root of the working copy; of a bare repository, the repository.
  const std::filesystem::path& root() const { return root_; }

  // Nothing before the first commit.
  std::optional<GitId> head_commit() const;
  // Empty when HEAD is detached.
  std::string branch() const;
  // URL of the remote that `branch` follows, else of "origin", else of any; as configured.
  std::string remote_url(const std::string& branch) const;
  std::string submodule_url(const std::string& path) const;
  // A boolean of its configuration.
  bool flag(const char* name, bool otherwise) const;

  GitId tree_of(const GitId& commit) const;
  // Every leaf of a tree, submodules among them. O(entries).
  std::vector<TreeEntry> leaves(const GitId& tree) const;
  std::string blob(const GitId& id) const;

  struct Index {
    std::vector<TreeEntry> entries;
    std::vector<std::string> unmerged;
    std::vector<std::string> skipped;  // left out of a sparse checkout on purpose
  };
  Index index() const;

  struct Difference {
    std::string path;  // ends with '/' for a nested repository
    bool deleted;
  };
  // Where index and working copy differ, untracked files included, ignored ones not. One lstat a
  // file; reads a file only where the index cannot tell by its times.
  std::vector<Difference> differences() const;

  // The name of the external filter (LFS) that .gitattributes asks for.
  std::optional<std::string> external_filter(const std::string& path) const;
  // The bytes that `git add` would store where a built-in filter (line ends) changes them.
  std::optional<std::string> filtered(const std::string& path) const;

  // The body of a patch from `before` to `after`: hunks, or "GIT binary patch". Empty when equal.
  static std::string patch_body(std::string_view before, std::string_view after);

 private:
  struct Handles;
  explicit GitRepository(std::unique_ptr<Handles> handles);
  std::unique_ptr<Handles> handles_;
  std::filesystem::path root_;
  bool owned_by_another_ = false;
};

}  // namespace reprise::fingerprint
