#include "ckpt/store/references_to.h"

#include "ckpt/base/error.h"
#include "ckpt/base/parallel.h"
#include "ckpt/store/checkpoint_name.h"
#include "ckpt/store/load.h"

#include <algorithm>

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

Needs needs_outside(const RunDirectory& run, const std::vector<RunDirectory>& others) {
  Needs needs;
  for (const RunDirectory& other : others) {
    std::error_code failure;
    if (fs::equivalent(other.path(), run.path(), failure)) continue;
    try {
      std::vector<CheckpointEntry> entries = other.list();
      needs.merge(read_needs(entries));
    } catch (const Error&) {
      // Others remove their runs when they like; any other reason has to be known.
      if (fs::exists(other.path(), failure) || failure) throw;
    }
  }
  return needs;
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
