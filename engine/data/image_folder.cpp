#include "ckpt/base/error.h"
#include "ckpt/base/parallel.h"
#include "engine/data/decode.h"
#include "engine/data/sources.h"
#include "engine/data/stored_set.h"

#include <algorithm>
#include <array>

namespace reprise::engine {
namespace {

namespace fs = std::filesystem;

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with("."); }

bool is_image_name(const fs::path& path) {
  std::string suffix = path.extension().string();
  std::transform(suffix.begin(), suffix.end(), suffix.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return suffix == ".jpg" || suffix == ".jpeg" || suffix == ".png";
}

// Image files below `folder`, as paths relative to `root`, sorted bytewise.
std::vector<std::string> image_files(const fs::path& root, const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  fs::recursive_directory_iterator walk(root / folder, error);
  for (; !error && walk != fs::recursive_directory_iterator(); walk.increment(error)) {
    if (is_hidden(walk->path())) {
      walk.disable_recursion_pending();
    } else if (is_image_name(walk->path()) && !walk->is_directory(error)) {
      files.push_back(walk->path().lexically_relative(root).generic_string());
    }
  }
  if (error) {
    fail_errno(error.value(), (root / folder).string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

bool holds_folders(const fs::path& path) {
  std::error_code error;
  for (fs::directory_iterator walk(path, error); !error && walk != fs::directory_iterator();
       walk.increment(error)) {
    if (walk->is_directory(error) && !is_hidden(walk->path())) {
      return true;
    }
  }
  return false;
}

class ImageFolder final : public StoredSet {
 public:
  ImageFolder(const fs::path& root, const OpenOptions& options) {
    root_ = root;
    const std::vector<std::string> folders = class_folders(root);
    class_names_ = options.class_names.empty() ? folders : options.class_names;
    mirror_ = options.mirror.value_or(MirrorRule::kKeeps);
    const ClassIndex index(class_names_);
    std::vector<std::vector<std::string>> files(folders.size());
    parallel_for(folders.size(), 0,
                 [&](std::size_t i) { files[i] = image_files(root, folders[i]); });
    for (std::size_t i = 0; i < folders.size(); ++i) {
      if (files[i].empty() && options.class_names.empty()) {
        fail(Code::kCorrupt,
             "{}: the class folder holds no image (.jpg, .jpeg, .png); remove it or fill it",
             (root / folders[i]).string());
      }
      const std::int64_t label = index.at(folders[i], root.string());
      for (std::string& file : files[i]) {
        files_.push_back(std::move(file));
        labels_.push_back(label);
      }
    }
    if (files_.empty()) {
      fail(Code::kCorrupt,
           "{}: no images: expected a folder a class, with .jpg, .jpeg or .png files inside",
           root.string());
    }
    std::vector<fs::path> first;
    for (std::size_t i = 0; i < std::min<std::size_t>(files_.size(), options.skip_bad ? 1000 : 1);
         ++i) {
      first.push_back(root / files_[i]);
    }
    const FirstImage image = probe_first_image(first, options.skip_bad);
    native_size_ = image.size;
    channels_ = image.channels;
  }

  std::uint64_t size() const override { return files_.size(); }
  Sample read(std::uint64_t id) const override {
    check_id(id);
    const fs::path path = root_ / files_[id];
    return {decode_image(read_file(path, kLargestImageFile), path.string()), labels_[id], {}};
  }
  Sample target(std::uint64_t id) const override {
    check_id(id);
    return {{}, labels_[id], {}};
  }
  std::string name(std::uint64_t id) const override {
    check_id(id);
    return (root_ / files_[id]).string();
  }

 protected:
  std::vector<std::string> files() const override { return files_; }

 private:
  std::vector<std::string> files_;
  std::vector<std::int64_t> labels_;
};

}  // namespace

std::vector<std::string> class_folders(const fs::path& root) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator walk(root, error); !error && walk != fs::directory_iterator();
       walk.increment(error)) {
    if (!is_hidden(walk->path()) && walk->is_directory(error)) {
      names.push_back(walk->path().filename().string());
    }
  }
  if (error) {
    fail_errno(error.value(), root.string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::optional<fs::path> split_folder(const fs::path& root, Split split) {
  constexpr std::array<std::string_view, 1> kTrain{"train"};
  constexpr std::array<std::string_view, 4> kValidation{"val", "validation", "valid", "test"};
  const auto first_of = [&](auto names) -> std::optional<fs::path> {
    for (const std::string_view name : names) {
      if (holds_folders(root / name)) {
        return root / name;
      }
    }
    return std::nullopt;
  };
  return split == Split::kTrain ? first_of(kTrain) : first_of(kValidation);
}

DatasetPtr open_image_folder(const fs::path& root, const OpenOptions& options) {
  return std::make_shared<ImageFolder>(root, options);
}

}  // namespace reprise::engine
