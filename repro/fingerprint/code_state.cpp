#include "repro/fingerprint/code_state.h"

#include "ckpt/base/error.h"
#include "ckpt/base/parallel.h"
#include "repro/fingerprint/code_patch.h"
#include "repro/fingerprint/git_repository.h"

#include <sys/stat.h>

#include <algorithm>
#include <set>
#include <unordered_map>
#include <unordered_set>

namespace reprise::fingerprint {
namespace {

namespace fs = std::filesystem;

constexpr int kSubmoduleDepthLimit = 8;
constexpr std::size_t kFilesPerTask = 32;  // hashing one small file costs less than starting a task

// Reads one working copy; lives as long as one call of read_code_state.
class WorkingCopy {
 public:
  WorkingCopy(const GitRepository& repository, const CodeOptions& options, int depth)
      : repository_(repository), options_(options), depth_(depth) {}

  CodeState read() {
    const auto commit = repository_.head_commit();
    state_.root = repository_.root();
    state_.bare = repository_.bare();
    state_.worktree = repository_.worktree();
    state_.owned_by_another = repository_.owned_by_another();
    if (commit) state_.commit = commit->hex();
    state_.branch = repository_.branch();
    state_.remote = without_credentials(repository_.remote_url(state_.branch));
    if (state_.bare) return std::move(state_);

    read_files();
    read_submodules();
    for (auto& [path, entry] : entries_) state_.entries.push_back(std::move(entry));
    std::sort(state_.entries.begin(), state_.entries.end(),
              [](const TreeEntry& a, const TreeEntry& b) { return a.path < b.path; });
    const GitId tree = tree_id(state_.entries);
    state_.tree = tree.hex();
    const auto head = commit ? std::optional(repository_.tree_of(*commit)) : std::nullopt;
    state_.dirty = head ? *head != tree : !state_.entries.empty();
    if (state_.dirty && options_.patch) {
      const auto before = head ? repository_.leaves(*head) : std::vector<TreeEntry>();
      CodePatch patch = write_patch(repository_, before, state_.entries, options_);
      state_.patch = std::move(patch.text);
      state_.omitted = std::move(patch.omitted);
    }
    return std::move(state_);
  }

 private:
  // The index, with what the working copy holds in place of what it says.
  void read_files() {
    GitRepository::Index index = repository_.index();
    entries_.reserve(index.entries.size());
    for (TreeEntry& entry : index.entries) {
      if (entry.mode == GitMode::kCommit) links_.push_back(entry.path);
      std::string path = entry.path;
      entries_.emplace(std::move(path), std::move(entry));
    }
    const std::unordered_set<std::string> skipped(index.skipped.begin(), index.skipped.end());
    std::unordered_set<std::string> changed(index.unmerged.begin(), index.unmerged.end());
    for (GitRepository::Difference& difference : repository_.differences()) {
      if (skipped.contains(difference.path)) continue;
      if (difference.deleted) {
        entries_.erase(difference.path);
      } else {
        changed.insert(std::move(difference.path));
      }
    }
    leave_out_runs(changed);
    hash(changed);
  }

  void leave_out_runs(std::unordered_set<std::string>& changed) {
    std::set<std::string> runs;
    for (const fs::path& directory : options_.leave_out) {
      std::error_code error;
      const fs::path relative =
          fs::weakly_canonical(fs::absolute(directory), error).lexically_relative(state_.root);
      if (!error && !relative.empty() && relative != "." && *relative.begin() != "..") {
        runs.insert(relative.native() + "/");
      }
    }
    for (const std::string& path : changed) {
      for (const std::string_view mark : {"/fingerprint.json", "/ledger.jsonl"}) {
        if (path.ends_with(mark) && !entries_.contains(path)) {
          runs.insert(path.substr(0, path.size() - mark.size() + 1));
        }
      }
    }
    for (const std::string& run : runs) {
      const auto removed = std::erase_if(changed, [&](const std::string& path) {
        return path.starts_with(run) && !entries_.contains(path);
      });
      if (removed > 0) state_.runs.push_back(run.substr(0, run.size() - 1));
    }
  }

  struct Changed {
    std::string path;
    GitMode mode = GitMode::kFile;
    GitId id;
    bool known = false;
    std::string failure;
  };

  void hash(const std::unordered_set<std::string>& paths) {
    std::vector<Changed> files;
    const bool trust_mode = repository_.flag("core.filemode", true);
    for (const std::string& path : paths) {
      if (path.ends_with('/')) {
        add_nested(path.substr(0, path.size() - 1));
        continue;
      }
      struct stat status {};
      const bool there = lstat((repository_.root() / path).c_str(), &status) == 0;
      const auto old = entries_.find(path);
      if (!there || (!S_ISREG(status.st_mode) && !S_ISLNK(status.st_mode))) {
        if (old != entries_.end()) entries_.erase(old);
        if (there && S_ISDIR(status.st_mode)) add_nested(path);
        continue;
      }
      Changed file{path, GitMode::kFile, {}, false, {}};
      if (S_ISLNK(status.st_mode)) {
        file.mode = GitMode::kLink;
      } else if (!trust_mode) {
        if (old != entries_.end()) file.mode = old->second.mode;
      } else if ((status.st_mode & S_IXUSR) != 0) {
        file.mode = GitMode::kExecutable;
      }
      filter(file);
      files.push_back(std::move(file));
    }
    parallel_for((files.size() + kFilesPerTask - 1) / kFilesPerTask, options_.jobs,
                 [&](std::size_t task) {
                   const std::size_t end = std::min(files.size(), (task + 1) * kFilesPerTask);
                   for (std::size_t i = task * kFilesPerTask; i < end; ++i) hash(files[i]);
                 });
    for (Changed& file : files) {
      if (file.failure.empty()) {
        entries_.insert_or_assign(file.path, TreeEntry{file.path, file.mode, file.id});
      } else {
        entries_.erase(file.path);
        state_.notes.push_back({file.path, "not read: " + file.failure});
      }
    }
  }

  void hash(Changed& file) const {
    if (file.known) return;
    try {
      file.id = file_id(repository_.root() / file.path, file.mode);
    } catch (const Error& error) {
      file.failure = error.what();
    } catch (const fs::filesystem_error& error) {
      file.failure = error.what();
    }
  }

  // Applies what git applies before it hashes. On one thread: libgit2's attribute cache belongs to
  // the repository.
  void filter(Changed& file) {
    if (file.mode == GitMode::kLink) return;
    if (const auto name = repository_.external_filter(file.path)) {
      state_.notes.push_back(
          {file.path, fmt::format("hashed as it is: the filter '{}' of .gitattributes is not run",
                                  printable(*name, 40))});
    }
    if (const auto bytes = repository_.filtered(file.path)) {
      file.id = blob_id(as_bytes(*bytes));
      file.known = true;
    }
  }

  // A repository inside the working copy that is no submodule: `git add` records its commit.
  void add_nested(const std::string& path) {
    const auto nested = GitRepository::open(repository_.root() / path, true);
    const auto commit = nested ? nested->head_commit() : std::nullopt;
    if (!commit) {
      state_.notes.push_back({path, "a nested repository without a commit: left out"});
      return;
    }
    entries_.insert_or_assign(path, TreeEntry{path, GitMode::kCommit, *commit});
    links_.push_back(path);
  }

  void read_submodules() {
    std::sort(links_.begin(), links_.end());
    for (const std::string& path : links_) {
      const auto entry = entries_.find(path);
      if (entry == entries_.end() || entry->second.mode != GitMode::kCommit) continue;
      Submodule submodule;
      submodule.path = path;
      submodule.recorded = entry->second.id.hex();
      submodule.url = without_credentials(repository_.submodule_url(path));
      const auto inner = GitRepository::open(repository_.root() / path, true);
      const auto commit = inner ? inner->head_commit() : std::nullopt;
      if (commit && depth_ < kSubmoduleDepthLimit) {
        CodeOptions options = options_;
        options.patch = false;
        const CodeState code = WorkingCopy(*inner, options, depth_ + 1).read();
        submodule.commit = code.commit;
        submodule.dirty = code.dirty;
        submodule.tree = code.tree;
        entry->second.id = *commit;
      }
      state_.submodules.push_back(std::move(submodule));
    }
  }

  const GitRepository& repository_;
  const CodeOptions& options_;
  int depth_;
  CodeState state_;
  std::unordered_map<std::string, TreeEntry> entries_;
  std::vector<std::string> links_;
};

}  // namespace

std::optional<CodeState> read_code_state(const fs::path& place, const CodeOptions& options) {
  const auto repository = GitRepository::open(place, false);
  if (!repository) return std::nullopt;
  return WorkingCopy(*repository, options, 0).read();
}

std::string without_credentials(std::string_view url) {
  const std::size_t scheme = url.find("://");
  std::string_view head;
  if (scheme != url.npos) {
    head = url.substr(0, scheme + 3);
    url.remove_prefix(scheme + 3);
  }
  url = url.substr(0, url.find_first_of("?#"));
  const std::string_view authority = url.substr(0, url.find('/'));
  const std::size_t at = authority.rfind('@');
  if (at != authority.npos) {
    std::string_view user = authority.substr(0, at);
    url.remove_prefix(at + 1);
    const bool ssh = scheme == std::string_view::npos || head.find("ssh") != head.npos;
    user = user.substr(0, user.find(':'));
    if (ssh && !user.empty()) return fmt::format("{}{}@{}", head, user, url);
  }
  return fmt::format("{}{}", head, url);
}

}  // namespace reprise::fingerprint
