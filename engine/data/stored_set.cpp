#include "engine/data/stored_set.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/base/parallel.h"
#include "ckpt/base/progress.h"
#include "engine/data/decode.h"

#include <algorithm>

namespace reprise::engine {

void StoredSet::check_id(std::uint64_t id) const {
  if (id >= size()) {
    fail(Code::kInternal, "{}: sample {} of a set of {}", root_.string(), id, size());
  }
}

Digest StoredSet::digest() const {
  const std::lock_guard lock(digest_mutex_);
  if (!digest_) {
    const Digest of_files = data_digest(root_, files());
    digest_ = digest_salt_.empty() ? of_files : sha256(of_files.hex() + " " + digest_salt_);
  }
  return *digest_;
}

std::vector<std::byte> read_file(const std::filesystem::path& path, std::uint64_t limit_bytes) {
  const File file = File::open(path);
  const std::uint64_t size = file.size();
  if (size > limit_bytes) {
    fail(Code::kUnsupported, "{}: {} bytes, where at most {} are read", path.string(), size,
         limit_bytes);
  }
  std::vector<std::byte> bytes(size);
  file.read(0, bytes);
  return bytes;
}

Digest data_digest(const std::filesystem::path& root, std::vector<std::string> paths) {
  std::sort(paths.begin(), paths.end());
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
  std::vector<std::string> lines(paths.size());
  Progress progress("hashing data", paths.size(), ProgressUnit::kItems);
  // Pieces, so that starting and counting cost nothing beside tiny files.
  constexpr std::size_t kPiece = 64;
  constexpr std::uint64_t kReadWhole = std::uint64_t{1} << 20;
  parallel_for((paths.size() + kPiece - 1) / kPiece, 0, [&](std::size_t piece) {
    const std::size_t end = std::min(paths.size(), (piece + 1) * kPiece);
    for (std::size_t i = piece * kPiece; i < end; ++i) {
      const std::filesystem::path path = root / paths[i];
      const File file = File::open(path);
      const std::uint64_t size = file.size();
      Digest digest;
      if (size <= kReadWhole) {
        std::vector<std::byte> bytes(size);
        file.read(0, bytes);
        digest = sha256(bytes);
      } else {
        digest = sha256_file(path);
      }
      lines[i] = fmt::format("{} {} {}\n", digest.hex(), size, paths[i]);
    }
    progress.add(end - piece * kPiece);
  });
  Sha256 hash;
  hash.update("reprise data 1\n");
  for (const std::string& line : lines) {
    hash.update(line);
  }
  return hash.finish();
}

FirstImage probe_first_image(const std::vector<std::filesystem::path>& paths, bool skip_bad) {
  for (const std::filesystem::path& path : paths) {
    try {
      const auto bytes = read_file(path, kLargestImageFile);
      const Image image = decode_image(bytes, path.string());
      return {image.size(), image.channels};
    } catch (const Error& error) {
      const bool bad = error.code() == Code::kCorrupt || error.code() == Code::kUnsupported;
      if (!skip_bad || !bad) {
        throw;
      }
    }
  }
  fail(Code::kCorrupt, "none of the {} images decodes, the first is {}", paths.size(),
       paths.empty() ? "" : paths.front().string());
}

ClassIndex::ClassIndex(const std::vector<std::string>& names) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    sorted_.emplace_back(names[i], static_cast<std::int64_t>(i));
  }
  std::sort(sorted_.begin(), sorted_.end());
  const auto twice =
      std::adjacent_find(sorted_.begin(), sorted_.end(),
                         [](const auto& a, const auto& b) { return a.first == b.first; });
  if (twice != sorted_.end()) {
    fail(Code::kUsage, "the class {} is listed twice", printable(twice->first));
  }
}

std::optional<std::int64_t> ClassIndex::find(std::string_view name) const {
  const auto at =
      std::lower_bound(sorted_.begin(), sorted_.end(), name,
                       [](const auto& entry, std::string_view key) { return entry.first < key; });
  return at != sorted_.end() && at->first == name ? std::optional(at->second) : std::nullopt;
}

std::int64_t ClassIndex::at(std::string_view name, std::string_view place) const {
  if (const auto label = find(name)) {
    return *label;
  }
  std::string known;
  for (std::size_t i = 0; i < std::min<std::size_t>(sorted_.size(), 12); ++i) {
    known += (i == 0 ? "" : ", ") + printable(sorted_[i].first, 40);
  }
  fail(Code::kMismatch,
       "{}: class {} is not among the {} known ones ({}{}); the data belongs to another model, or "
       "training lacked this class",
       place, printable(name), sorted_.size(), known, sorted_.size() > 12 ? ", ..." : "");
}

}  // namespace reprise::engine
