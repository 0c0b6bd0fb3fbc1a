// References: `RUN/<best>` and the like, which work wherever a path does.
//
//   RUN/<last>      the newest state            RUN/<last>~2   two saves before it
//   RUN/<best>      best by the major metric    RUN/<ep12>     after 12 epochs
//   RUN/<uuid:1f3a> the save whose UUID starts so
#pragma once

#include "ckpt/store/checkpoint_list.h"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace reprise::store {

// Whether `text` ends in a reference. A file that really has such a name wins in resolve().
bool is_reference(std::string_view text);

// What a plain directory means where a checkpoint is asked for.
enum class DirectoryMeans : std::uint8_t { kError, kLast };

// The file that `path_or_reference` names; a plain path is returned as it is.
// `<best>` follows the direction of the major metric (`use_for_is_best`), NaN is
// never best, the earlier of equals wins; a save made between two evaluations
// takes no part.
// Errors: kNotFound, listing what there is; kUsage when ambiguous or malformed.
std::filesystem::path resolve(std::string_view path_or_reference,
                              DirectoryMeans directory = DirectoryMeans::kError);

// A checkpoint and what it reached.
struct BestCheckpoint {
  CheckpointEntry entry;
  std::string metric;
  double value = 0;
};
// All of `entries` that have a value, best first, the earlier of equals first; and the
// first of them. Opens every file's metadata. `metric` empty: the major one.
std::vector<BestCheckpoint> rank(const std::vector<CheckpointEntry>& entries,
                                 std::string_view metric = {});
std::optional<BestCheckpoint> find_best(const std::vector<CheckpointEntry>& entries,
                                        std::string_view metric = {});

}  // namespace reprise::store
