#include "ckpt/store/companion.h"

#include "ckpt/container/open.h"

namespace reprise::store {
namespace fs = std::filesystem;

std::optional<fs::path> companion_path(const fs::path& path) {
  if (path.extension() != ".pt") return std::nullopt;
  const fs::path other = path.string() + "s";
  std::error_code ignored;
  return fs::is_regular_file(other, ignored) ? std::optional(other) : std::nullopt;
}

std::optional<Document> open_companion(const fs::path& path) {
  const auto other = companion_path(path);
  return other ? std::optional(container::open(*other)) : std::nullopt;
}

}  // namespace reprise::store
