// The second file of checkpoints that come as a pair.
#pragma once

#include "ckpt/state/value.h"

#include <filesystem>
#include <optional>

namespace reprise::store {

// XDPX writes `checkpoint-N.pt` (weights) and `checkpoint-N.pts` (everything else):
// the path of the second half of `path`, when there is such a file. Looks at names only.
std::optional<std::filesystem::path> companion_path(const std::filesystem::path& path);

// The other half's content; nothing when there is none.
// Errors: those of container::open.
std::optional<Document> open_companion(const std::filesystem::path& path);

}  // namespace reprise::store
