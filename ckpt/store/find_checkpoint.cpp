#include "ckpt/store/find_checkpoint.h"

#include "ckpt/base/error.h"
#include "ckpt/store/run_directory.h"

namespace reprise::store {

namespace fs = std::filesystem;

std::optional<fs::path> find_checkpoint(const Uuid& uuid, const std::vector<fs::path>& roots,
                                        const IsTheOne& is_the_one) {
  for (const fs::path& root : roots) {
    std::error_code failure;
    if (!fs::is_directory(root, failure)) continue;
    for (const RunDirectory& run : RunDirectory::find_all(root)) {
      try {
        for (const CheckpointEntry& entry : run.list()) {
          if (entry.uuid == uuid && !entry.problem && is_the_one(entry.path)) return entry.path;
        }
      } catch (const Error&) {
        // Nobody's to find: removed meanwhile, or closed to this user.
      }
    }
  }
  return std::nullopt;
}

std::vector<fs::path> search_roots(const fs::path& checkpoint) {
  const fs::path folder = fs::absolute(checkpoint).lexically_normal().parent_path();
  if (folder.filename() != "checkpoints") return {folder};
  const fs::path beside = folder.parent_path().parent_path();
  // Only below runs/, so that a run in a home folder does not have everything around it searched.
  if (beside.parent_path().filename() == "runs") return {beside, beside.parent_path()};
  return {beside};
}

}  // namespace reprise::store
