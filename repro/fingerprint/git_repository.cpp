#include "repro/fingerprint/git_repository.h"

#include "ckpt/base/error.h"

// The only file that includes libgit2.
#include <git2.h>

#include <cstring>
#include <mutex>

namespace reprise::fingerprint {
namespace {

namespace fs = std::filesystem;

template <typename T, void (*kFree)(T*)>
struct FreeBy {
  void operator()(T* object) const { kFree(object); }
};
template <typename T, void (*kFree)(T*)>
using Owned = std::unique_ptr<T, FreeBy<T, kFree>>;

using Repository = Owned<git_repository, git_repository_free>;
using IndexFile = Owned<git_index, git_index_free>;

// A git_buf that libgit2 fills.
struct Buffer {
  git_buf buf = GIT_BUF_INIT;
  Buffer() = default;
  ~Buffer() { git_buf_dispose(&buf); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  std::string text() const { return {buf.ptr == nullptr ? "" : buf.ptr, buf.size}; }
};

struct Library {
  Library() { git_libgit2_init(); }
  // Left initialized: shutting down would free what other threads may still use at exit.
};

[[noreturn]] void fail_git(const fs::path& place, std::string_view what) {
  const git_error* error = git_error_last();
  const std::string text =
      error != nullptr && error->message != nullptr ? error->message : "unknown reason";
  const int kind = error != nullptr ? error->klass : 0;
  for (const std::string_view sign : {"objectformat", "object format", "repositoryformatversion",
                                      "repository version", "extension"}) {
    if (text.find(sign) != text.npos) {
      fail(Code::kUnsupported,
           "{}: {}: {}; this repository uses a git feature newer than libgit2 knows",
           printable(place.native()), what, printable(text));
    }
  }
  const bool system = kind == GIT_ERROR_OS || kind == GIT_ERROR_FILESYSTEM;
  fail(system ? Code::kIo : Code::kCorrupt, "{}: {}: {}; `git fsck` and `git status` say more",
       printable(place.native()), what, printable(text));
}

GitId to_id(const git_oid& oid) {
  GitId id;
  std::memcpy(id.bytes.data(), oid.id, id.bytes.size());
  return id;
}

git_oid to_oid(const GitId& id) {
  git_oid oid;
  std::memcpy(oid.id, id.bytes.data(), id.bytes.size());
  return oid;
}

}  // namespace

struct GitRepository::Handles {
  Repository repository;
  IndexFile index;
};

GitRepository::GitRepository(std::unique_ptr<Handles> handles) : handles_(std::move(handles)) {
  git_repository* repository = handles_->repository.get();
  const char* workdir = git_repository_workdir(repository);
  root_ = workdir != nullptr ? workdir : git_repository_path(repository);
  if (!root_.has_filename()) root_ = root_.parent_path();
}

GitRepository::GitRepository(GitRepository&&) noexcept = default;
GitRepository::~GitRepository() = default;

std::optional<GitRepository> GitRepository::open(const fs::path& place, bool exact) {
  static const Library library;
  // Validation of owners is a setting of the process; it is off only under this lock.
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  const unsigned flags = exact ? unsigned{GIT_REPOSITORY_OPEN_NO_SEARCH} : 0u;
  auto handles = std::make_unique<Handles>();
  bool owned_by_another = false;
  git_repository* raw = nullptr;
  int rc = git_repository_open_ext(&raw, place.c_str(), flags, nullptr);
  // libgit2 1.5 answers "not found" for a foreign owner when no safe.directory is configured.
  if (rc == GIT_EOWNER || rc == GIT_ENOTFOUND) {
    git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    rc = git_repository_open_ext(&raw, place.c_str(), flags, nullptr);
    git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 1);
    owned_by_another = rc == 0;
  }
  if (rc == GIT_ENOTFOUND) return std::nullopt;
  if (rc != 0) fail_git(place, "opening its git repository");
  handles->repository.reset(raw);
  GitRepository repository(std::move(handles));
  repository.owned_by_another_ = owned_by_another;
  return repository;
}

bool GitRepository::bare() const {
  return git_repository_workdir(handles_->repository.get()) == nullptr;
}

bool GitRepository::worktree() const {
  return git_repository_is_worktree(handles_->repository.get()) == 1;
}

std::optional<GitId> GitRepository::head_commit() const {
  git_oid oid;
  if (git_reference_name_to_id(&oid, handles_->repository.get(), "HEAD") != 0) return std::nullopt;
  return to_id(oid);
}

std::string GitRepository::branch() const {
  git_reference* raw = nullptr;
  if (git_reference_lookup(&raw, handles_->repository.get(), "HEAD") != 0) return {};
  const Owned<git_reference, git_reference_free> head(raw);
  const char* target = git_reference_symbolic_target(head.get());
  std::string_view name = target == nullptr ? "" : target;
  if (name.starts_with("refs/heads/")) name.remove_prefix(11);
  return std::string(name);
}

std::string GitRepository::remote_url(const std::string& branch) const {
  git_repository* repository = handles_->repository.get();
  std::string name = "origin";
  if (Buffer upstream; git_branch_upstream_remote(&upstream.buf, repository,
                                                  ("refs/heads/" + branch).c_str()) == 0) {
    name = upstream.text();
  }
  git_remote* raw = nullptr;
  if (git_remote_lookup(&raw, repository, name.c_str()) != 0) {
    git_strarray names{};
    if (git_remote_list(&names, repository) != 0) return {};
    if (names.count > 0) git_remote_lookup(&raw, repository, names.strings[0]);
    git_strarray_dispose(&names);
  }
  const Owned<git_remote, git_remote_free> remote(raw);
  const char* url = remote ? git_remote_url(remote.get()) : nullptr;
  return url == nullptr ? "" : url;
}

std::string GitRepository::submodule_url(const std::string& path) const {
  git_submodule* raw = nullptr;
  if (git_submodule_lookup(&raw, handles_->repository.get(), path.c_str()) != 0) return {};
  const Owned<git_submodule, git_submodule_free> submodule(raw);
  const char* url = git_submodule_url(submodule.get());
  return url == nullptr ? "" : url;
}

bool GitRepository::flag(const char* name, bool otherwise) const {
  git_config* raw = nullptr;
  if (git_repository_config_snapshot(&raw, handles_->repository.get()) != 0) return otherwise;
  const Owned<git_config, git_config_free> config(raw);
  int value = 0;
  return git_config_get_bool(&value, config.get(), name) == 0 ? value != 0 : otherwise;
}

GitId GitRepository::tree_of(const GitId& commit) const {
  const git_oid oid = to_oid(commit);
  git_commit* raw = nullptr;
  if (git_commit_lookup(&raw, handles_->repository.get(), &oid) != 0) {
    fail_git(root_, "reading commit " + commit.hex());
  }
  const Owned<git_commit, git_commit_free> found(raw);
  return to_id(*git_commit_tree_id(found.get()));
}

std::vector<TreeEntry> GitRepository::leaves(const GitId& tree) const {
  const git_oid oid = to_oid(tree);
  git_tree* raw = nullptr;
  if (git_tree_lookup(&raw, handles_->repository.get(), &oid) != 0) {
    fail_git(root_, "reading tree " + tree.hex());
  }
  const Owned<git_tree, git_tree_free> found(raw);
  std::vector<TreeEntry> entries;
  const auto visit = [](const char* directory, const git_tree_entry* entry, void* payload) {
    if (git_tree_entry_type(entry) == GIT_OBJECT_TREE) return 0;
    auto mode = static_cast<GitMode>(git_tree_entry_filemode(entry));
    static_cast<std::vector<TreeEntry>*>(payload)->push_back(
        {std::string(directory) + git_tree_entry_name(entry), mode,
         to_id(*git_tree_entry_id(entry))});
    return 0;
  };
  if (git_tree_walk(found.get(), GIT_TREEWALK_PRE, visit, &entries) != 0) {
    fail_git(root_, "reading tree " + tree.hex());
  }
  return entries;
}

std::string GitRepository::blob(const GitId& id) const {
  const git_oid oid = to_oid(id);
  git_blob* raw = nullptr;
  if (git_blob_lookup(&raw, handles_->repository.get(), &oid) != 0) {
    fail_git(root_, "reading blob " + id.hex());
  }
  const Owned<git_blob, git_blob_free> found(raw);
  return {static_cast<const char*>(git_blob_rawcontent(found.get())),
          static_cast<std::size_t>(git_blob_rawsize(found.get()))};
}

GitRepository::Index GitRepository::index() const {
  if (!handles_->index) {
    git_index* raw = nullptr;
    if (git_repository_index(&raw, handles_->repository.get()) != 0) {
      fail_git(root_, "reading the index");
    }
    handles_->index.reset(raw);
  }
  Index out;
  const std::size_t count = git_index_entrycount(handles_->index.get());
  out.entries.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const git_index_entry* entry = git_index_get_byindex(handles_->index.get(), i);
    if (git_index_entry_stage(entry) != 0) {
      if (out.unmerged.empty() || out.unmerged.back() != entry->path) {
        out.unmerged.emplace_back(entry->path);
      }
      continue;
    }
    if ((entry->flags_extended & GIT_INDEX_ENTRY_SKIP_WORKTREE) != 0) {
      out.skipped.emplace_back(entry->path);
    }
    out.entries.push_back({entry->path, static_cast<GitMode>(entry->mode), to_id(entry->id)});
  }
  return out;
}

std::vector<GitRepository::Difference> GitRepository::differences() const {
  git_diff_options options;
  git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
  options.flags = GIT_DIFF_INCLUDE_UNTRACKED | GIT_DIFF_RECURSE_UNTRACKED_DIRS |
                  GIT_DIFF_INCLUDE_TYPECHANGE | GIT_DIFF_INCLUDE_UNREADABLE |
                  GIT_DIFF_INCLUDE_UNREADABLE_AS_UNTRACKED | GIT_DIFF_SKIP_BINARY_CHECK;
  // The caller looks into submodules itself.
  options.ignore_submodules = GIT_SUBMODULE_IGNORE_ALL;
  git_diff* raw = nullptr;
  if (git_diff_index_to_workdir(&raw, handles_->repository.get(), handles_->index.get(),
                                &options) != 0) {
    fail_git(root_, "comparing the index with the working copy");
  }
  const Owned<git_diff, git_diff_free> diff(raw);
  std::vector<Difference> out;
  for (std::size_t i = 0; i < git_diff_num_deltas(raw); ++i) {
    const git_diff_delta* delta = git_diff_get_delta(raw, i);
    out.push_back({delta->new_file.path, delta->status == GIT_DELTA_DELETED});
  }
  return out;
}

std::optional<std::string> GitRepository::external_filter(const std::string& path) const {
  const char* value = nullptr;
  if (git_attr_get(&value, handles_->repository.get(), GIT_ATTR_CHECK_FILE_THEN_INDEX, path.c_str(),
                   "filter") != 0 ||
      git_attr_value(value) != GIT_ATTR_VALUE_STRING) {
    return std::nullopt;
  }
  return value;
}

std::optional<std::string> GitRepository::filtered(const std::string& path) const {
  git_filter_list* raw = nullptr;
  if (git_filter_list_load(&raw, handles_->repository.get(), nullptr, path.c_str(),
                           GIT_FILTER_TO_ODB, GIT_FILTER_ALLOW_UNSAFE) != 0 ||
      raw == nullptr) {
    return std::nullopt;
  }
  const Owned<git_filter_list, git_filter_list_free> filters(raw);
  Buffer out;
  if (git_filter_list_apply_to_file(&out.buf, filters.get(), handles_->repository.get(),
                                    path.c_str()) != 0) {
    return std::nullopt;
  }
  return out.text();
}

std::string GitRepository::patch_body(std::string_view before, std::string_view after) {
  git_diff_options options;
  git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
  options.flags = GIT_DIFF_SHOW_BINARY;
  options.context_lines = 3;
  git_patch* raw = nullptr;
  Buffer out;
  if (git_patch_from_buffers(&raw, before.data(), before.size(), "x", after.data(), after.size(),
                             "x", &options) != 0) {
    fail_git("patch", "comparing two files");
  }
  const Owned<git_patch, git_patch_free> patch(raw);
  if (!patch || git_patch_to_buf(&out.buf, patch.get()) != 0) return {};
  const std::string text = out.text();
  // Ours is the header, which names modes and paths that buffers do not have.
  for (const std::string_view start : {"\n@@ ", "\nGIT binary patch\n"}) {
    const std::size_t at = text.find(start);
    if (at != text.npos) return text.substr(at + 1);
  }
  return {};
}

}  // namespace reprise::fingerprint
