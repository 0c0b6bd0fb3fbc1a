#include "repro/attest/file_digests.h"

#include "ckpt/base/error.h"
#include "ckpt/base/json.h"
#include "ckpt/base/parallel.h"
#include "ckpt/base/progress.h"

#include <algorithm>

namespace reprise::attest {
namespace {

namespace fs = std::filesystem;

bool is_below(const std::string& path, const std::string& directory) {
  return path == directory || (path.size() > directory.size() && path.starts_with(directory) &&
                               path[directory.size()] == '/');
}

}  // namespace

std::map<std::string, Digest> digest_files(const fs::path& directory,
                                           std::span<const std::string> ignored, Links links,
                                           unsigned jobs, bool progress) {
  if (!fs::is_directory(directory)) {
    fail(Code::kNotFound, "{}: no such directory", printable(directory.native()));
  }
  struct Found {
    std::string relative;
    std::uint64_t size;
    Digest digest;
  };
  std::vector<Found> files;
  std::uint64_t total = 0;
  for (auto it = fs::recursive_directory_iterator(directory); it != fs::end(it); ++it) {
    const std::string relative = it->path().lexically_relative(directory).native();
    if (std::any_of(ignored.begin(), ignored.end(),
                    [&](const std::string& path) { return is_below(relative, path); })) {
      if (it->is_directory() && !it->is_symlink()) it.disable_recursion_pending();
      continue;
    }
    if (it->is_symlink()) {
      if (links == Links::kRefuse) {
        fail(Code::kUnsupported, "{}: a symbolic link, which this signature cannot cover",
             printable(it->path().native()));
      }
      if (links == Links::kSkip) continue;
    }
    if (!it->is_regular_file()) continue;
    if (dump_json(Json(relative)) !=
        Json(relative).dump(-1, ' ', false, Json::error_handler_t::ignore)) {
      fail(Code::kUnsupported, "{}: a name that is not UTF-8 cannot be signed; rename the file",
           printable(it->path().native()));
    }
    files.push_back({relative, it->file_size(), {}});
    total += files.back().size;
  }
  Progress bar("digests", total, ProgressUnit::kBytes, progress);
  parallel_for(files.size(), jobs, [&](std::size_t i) {
    files[i].digest = sha256_file(directory / files[i].relative);
    bar.add(files[i].size);
  });
  std::map<std::string, Digest> out;
  for (Found& file : files) out.emplace(std::move(file.relative), file.digest);
  return out;
}

std::vector<std::string> links_out(const fs::path& directory) {
  const fs::path whole = fs::canonical(directory);
  std::vector<std::string> out;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(directory)) {
    if (!entry.is_symlink()) continue;
    std::error_code broken;
    const fs::path target = fs::canonical(entry.path(), broken);
    if (broken || !is_below(target.native(), whole.native())) {
      out.push_back(entry.path().lexically_relative(directory).native());
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

Deviations compare(const std::map<std::string, Digest>& was_signed,
                   const std::map<std::string, Digest>& found) {
  Deviations out;
  for (const auto& [path, digest] : was_signed) {
    const auto at = found.find(path);
    if (at == found.end()) {
      out.missing.push_back(path);
    } else if (at->second != digest) {
      out.altered.push_back(path);
    }
  }
  for (const auto& [path, digest] : found) {
    if (!was_signed.contains(path)) out.unsigned_files.push_back(path);
  }
  return out;
}

}  // namespace reprise::attest
