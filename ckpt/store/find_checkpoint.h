// A checkpoint by its UUID, wherever it lies.
#pragma once

#include "ckpt/base/uuid.h"

#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

namespace reprise::store {

// Whether a file that says to be the one is: a name proves nothing of what lies there by now.
using IsTheOne = std::function<bool(const std::filesystem::path&)>;

// The first file with that UUID that `is_the_one`, in the runs and checkpoint folders at `roots` or
// up to three levels below. Reads folders and names, and the metadata of files whose names do not
// say enough. A root that is not there is passed over. Errors: kIo.
std::optional<std::filesystem::path> find_checkpoint(
    const Uuid& uuid, const std::vector<std::filesystem::path>& roots, const IsTheOne& is_the_one);

// The folders that runs near `checkpoint` lie in: that of its run, and for runs/<name>/<time> the
// one above; for a file outside a run its own folder.
std::vector<std::filesystem::path> search_roots(const std::filesystem::path& checkpoint);

}  // namespace reprise::store
