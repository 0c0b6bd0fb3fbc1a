// Who needs a file: what checkpoints name as their backbone or parent.
#pragma once

#include "ckpt/store/run_directory.h"

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace reprise::store {

// UUID of a needed checkpoint -> the files that need it, with the relation.
struct Need {
  std::filesystem::path by;
  Relation relation = Relation::kBackbone;
};
using Needs = std::multimap<Uuid, Need>;

// What `entries` refer to. Opens each file's metadata once, on all cores; a file that
// cannot be read refers at least to the backbone in its name, and its entry says why.
Needs read_needs(std::vector<CheckpointEntry>& entries);

// A folder that could not be looked into: nobody knows what it refers to.
struct Unseen {
  std::filesystem::path folder;
  std::string why;
};

struct OutsideNeeds {
  Needs needs;
  std::vector<Unseen> unseen;
};

// What the checkpoints of `others` refer to, but for those of `run` itself. A run that is removed
// meanwhile refers to nothing.
OutsideNeeds needs_outside(const RunDirectory& run, const std::vector<RunDirectory>& others);

// The same for all around `run` (see neighbours) and the runs in `more`. Also looks into
// checkpoints/ of folders beside it that are no runs, and in runs/ names the folders that cannot be
// entered: each may be a run of somebody else.
OutsideNeeds needs_around(const RunDirectory& run, const std::vector<RunDirectory>& more = {});

// The runs that may refer to files of `run`: itself, those beside it, and those one
// level further out (the runs of other names, in runs/<name>/<time>). Of a folder that is no
// run: those around it.
std::vector<RunDirectory> neighbours(const RunDirectory& run);
std::vector<RunDirectory> neighbours(const std::filesystem::path& folder);

// Where the rolling save `file` has to stay available because a head in a neighbouring
// run names it as its backbone; nothing when none does. Reads folders, and the
// metadata of `file` alone.
std::optional<std::filesystem::path> persistent_path_if_referenced(
    const std::filesystem::path& file);

}  // namespace reprise::store
