#include "ckpt/store/references_to.h"

#include "ckpt/base/error.h"
#include "ckpt/base/parallel.h"
#include "ckpt/store/checkpoint_name.h"
#include "ckpt/store/load.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace reprise::store {
namespace fs = std::filesystem;

namespace {

fs::path absolute_of(const fs::path& path) {
  std::error_code failure;
  fs::path absolute = fs::weakly_canonical(path, failure);
  return failure ? fs::absolute(path) : absolute;
}

// Whether the name of some checkpoint in `folder` says that it is `_for_` `uuid`.
bool names_as_backbone(const fs::path& folder, const Uuid& uuid) {
  std::error_code failure;
  for (fs::directory_iterator it(folder, failure), end; !failure && it != end;
       it.increment(failure)) {
    const auto name = parse_checkpoint_name(it->path().filename().native());
    if (name && name->uuid_backbone == uuid) return true;
  }
  return false;
}

bool may_look_into(const fs::path& folder) { return ::access(folder.c_str(), R_OK | X_OK) == 0; }

// Adds what `folder`, which is no run that could be listed, refers to. One that is closed counts
// where runs lie: elsewhere it is somebody's own business, as the private folders in /tmp are.
void look_into(const fs::path& folder, bool among_runs, OutsideNeeds& found) {
  const fs::path checkpoints = folder / "checkpoints";
  std::error_code failure;
  if (!may_look_into(folder)) {
    if (among_runs) found.unseen.push_back({folder, "permission denied"});
  } else if (fs::is_directory(checkpoints, failure) && !RunDirectory::is_run(folder)) {
    try {
      std::vector<CheckpointEntry> entries = list_checkpoints(checkpoints);
      found.needs.merge(read_needs(entries));
    } catch (const Error& error) {
      found.unseen.push_back({folder, error.what()});
    }
  }
}

std::vector<fs::path> folders_in(const fs::path& parent) {
  std::vector<fs::path> folders;
  std::error_code failure;
  for (fs::directory_iterator it(parent, failure), end; !failure && it != end;
       it.increment(failure)) {
    std::error_code ignored;
    if (!it->is_symlink(ignored) && it->is_directory(ignored)) folders.push_back(it->path());
  }
  std::ranges::sort(folders);
  return folders;
}

}  // namespace

Needs read_needs(std::vector<CheckpointEntry>& entries) {
  std::vector<std::vector<std::pair<Uuid, Need>>> found(entries.size());
  parallel_for(entries.size(), 0, [&](std::size_t i) {
    CheckpointEntry& entry = entries[i];
    std::optional<Uuid> backbone = entry.uuid_backbone;
    try {
      const Checkpoint checkpoint = load(entry.path.native(), {.verify = false});
      backbone = checkpoint.uuid_backbone;
      for (const Parent& parent : checkpoint.parents) {
        found[i].push_back({parent.uuid, {entry.path, parent.relation}});
      }
    } catch (const Error& error) {
      // Unreadable: what its name says still holds.
      if (!entry.problem) entry.problem = error.what();
    }
    if (backbone) found[i].push_back({*backbone, {entry.path, Relation::kBackbone}});
  });
  Needs needs;
  for (auto& list : found) needs.insert(list.begin(), list.end());
  return needs;
}

OutsideNeeds needs_outside(const RunDirectory& run, const std::vector<RunDirectory>& others) {
  OutsideNeeds found;
  for (const RunDirectory& other : others) {
    std::error_code failure;
    if (fs::equivalent(other.path(), run.path(), failure)) continue;
    try {
      std::vector<CheckpointEntry> entries = other.list();
      found.needs.merge(read_needs(entries));
      const auto closed = std::ranges::find_if(entries, [](const CheckpointEntry& entry) {
        return entry.problem && ::access(entry.path.c_str(), R_OK) != 0 && errno == EACCES;
      });
      if (closed != entries.end()) found.unseen.push_back({other.path(), *closed->problem});
    } catch (const Error& error) {
      // Others remove their runs when they like; any other reason has to be known.
      if (fs::exists(other.path(), failure) || failure) {
        found.unseen.push_back({other.path(), error.what()});
      }
    }
  }
  return found;
}

OutsideNeeds needs_around(const RunDirectory& run, const std::vector<RunDirectory>& more) {
  std::vector<RunDirectory> others = neighbours(run);
  others.insert(others.end(), more.begin(), more.end());
  OutsideNeeds found = needs_outside(run, others);
  const fs::path own = absolute_of(run.path());
  const fs::path beside = own.parent_path();
  const fs::path names = beside.parent_path();
  const bool named = names.filename() == "runs";
  const auto look_at_all_in = [&](const fs::path& parent) {
    for (const fs::path& folder : folders_in(parent)) {
      if (folder != own) look_into(folder, named || beside.filename() == "runs", found);
    }
  };
  look_at_all_in(beside);
  if (named) {
    look_at_all_in(names);
    for (const fs::path& name : folders_in(names)) {
      if (name != beside) look_at_all_in(name);
    }
  }
  return found;
}

std::vector<RunDirectory> neighbours(const RunDirectory& run) { return neighbours(run.path()); }

std::vector<RunDirectory> neighbours(const fs::path& folder) {
  const fs::path own = absolute_of(folder);
  const fs::path parent = own.parent_path();
  std::vector<RunDirectory> runs = RunDirectory::find_all(parent, 1);
  // runs/<name>/<time>: the runs of other names are cousins. Only there, so that a run
  // in a home folder does not have everything around it searched.
  if (parent != parent.parent_path() && parent != own) {
    for (RunDirectory& cousin : RunDirectory::find_all(parent.parent_path(), 2)) {
      if (cousin.path().parent_path() != parent) runs.push_back(std::move(cousin));
    }
  }
  const bool known = std::ranges::any_of(runs, [&](const auto& r) { return r.path() == own; });
  if (!known && RunDirectory::is_run(own)) runs.push_back(RunDirectory::open(own));
  return runs;
}

std::optional<fs::path> persistent_path_if_referenced(const fs::path& file) {
  std::optional<Checkpoint> old;
  try {
    old = load(file.native(), {.verify = false});
  } catch (const Error&) {
    return std::nullopt;  // damaged: nobody can use it as a backbone
  }
  const fs::path folder = absolute_of(file).parent_path();
  const fs::path run = folder.filename() == "checkpoints" ? folder.parent_path() : folder;
  for (const RunDirectory& neighbour : neighbours(run)) {
    if (names_as_backbone(neighbour.checkpoints(), old->uuid)) {
      return folder / checkpoint_name(*old, SaveKind::kPersistent);
    }
  }
  return std::nullopt;
}

}  // namespace reprise::store
