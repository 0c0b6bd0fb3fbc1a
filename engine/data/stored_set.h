// What all sets that are read from files have in common.
#pragma once

#include "engine/data/dataset.h"
#include "engine/data/open.h"

#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace reprise::engine {

// A data set over files. A subclass fills the protected members in its constructor and leaves
// them alone from then on.
class StoredSet : public Dataset {
 public:
  Task task() const override { return task_; }
  const std::vector<std::string>& class_names() const override { return class_names_; }
  const std::vector<std::string>& target_names() const override { return target_names_; }
  MirrorRule mirror_rule() const override { return mirror_; }
  ImageSize native_size() const override { return native_size_; }
  int channels() const override { return channels_; }
  Normalisation normalisation() const override { return normalisation_; }
  Digest digest() const override;
  const std::vector<BadSample>& bad_samples() const override { return bad_samples_; }

 protected:
  // What the digest covers: paths below `root_`, each once, in any order. The digest also
  // covers `digest_salt_`, for sets that take a part of their files.
  virtual std::vector<std::string> files() const = 0;
  // Errors: kInternal when `id` is not in the set.
  void check_id(std::uint64_t id) const;

  std::filesystem::path root_;
  std::string digest_salt_;
  Task task_ = Task::kClassification;
  std::vector<std::string> class_names_, target_names_;
  MirrorRule mirror_ = MirrorRule::kKeeps;
  ImageSize native_size_;
  int channels_ = 3;
  Normalisation normalisation_;
  std::vector<BadSample> bad_samples_;

 private:
  mutable std::mutex digest_mutex_;
  mutable std::optional<Digest> digest_;
};

// The whole of a file of at most `limit_bytes`. Errors: kNotFound, kIo, kCorrupt.
std::vector<std::byte> read_file(const std::filesystem::path& path, std::uint64_t limit_bytes);
inline constexpr std::uint64_t kLargestImageFile = std::uint64_t{256} << 20;

// Digest of a set of files, whatever order they are given in: SHA-256 of "reprise data 1\n"
// and, in bytewise order of the paths, a line "<sha256> <size in bytes> <path>\n" for each.
// Hashes on all cores. Errors: kNotFound, kIo.
Digest data_digest(const std::filesystem::path& root, std::vector<std::string> paths);

// Shape of the first of these files that is an image; what comes before it is passed over only
// with `skip_bad`. Errors: as decode_image.
struct FirstImage {
  ImageSize size;
  int channels = 3;
};
FirstImage probe_first_image(const std::vector<std::filesystem::path>& paths, bool skip_bad);

// The label of each class name. Errors: kUsage for a name that comes twice.
class ClassIndex {
 public:
  explicit ClassIndex(const std::vector<std::string>& names);
  std::optional<std::int64_t> find(std::string_view name) const;
  // Errors: kMismatch naming `place`, the class and what is known.
  std::int64_t at(std::string_view name, std::string_view place) const;

 private:
  std::vector<std::pair<std::string, std::int64_t>> sorted_;
};

}  // namespace reprise::engine
