#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "engine/data/sources.h"
#include "engine/data/stored_set.h"

#include <algorithm>
#include <sstream>

namespace reprise::engine {
namespace {

namespace fs = std::filesystem;

constexpr int kSide = 32;
constexpr std::size_t kPlane = kSide * kSide;
constexpr std::size_t kPixels = 3 * kPlane;

// What tells the two apart: how many label bytes come before the pixels.
struct Variant {
  std::size_t label_bytes = 1;
  std::size_t classes = 10;
  std::size_t record() const { return label_bytes + kPixels; }
};
constexpr Variant kCifar10{1, 10};
constexpr Variant kCifar100{2, 100};

bool is_cifar100_name(const fs::path& path) {
  const std::string name = path.filename().string();
  return name == "train.bin" || name == "test.bin";
}

Variant variant_of(const fs::path& path, std::uint64_t bytes) {
  const Variant named = is_cifar100_name(path) ? kCifar100 : kCifar10;
  const Variant other = is_cifar100_name(path) ? kCifar10 : kCifar100;
  const Variant variant = bytes % named.record() == 0 ? named : other;
  if (bytes == 0 || bytes % variant.record() != 0) {
    fail(Code::kCorrupt,
         "{}: {} bytes are no whole number of CIFAR records ({} or {} bytes each); the file is "
         "truncated or something else",
         path.string(), bytes, kCifar10.record(), kCifar100.record());
  }
  return variant;
}

std::vector<std::string> default_names(const Variant& variant) {
  if (variant.classes == kCifar10.classes) {
    return {"airplane", "automobile", "bird",  "cat",  "deer",
            "dog",      "frog",       "horse", "ship", "truck"};
  }
  std::vector<std::string> names;
  for (std::size_t i = 0; i < variant.classes; ++i) {
    names.push_back(std::to_string(i));
  }
  return names;
}

// The names file of the distribution, when it is there and has the right number of lines.
std::vector<std::string> names_beside(const fs::path& folder, const Variant& variant) {
  const fs::path path =
      folder / (variant.classes == 10 ? "batches.meta.txt" : "fine_label_names.txt");
  std::error_code error;
  if (!fs::is_regular_file(path, error)) {
    return default_names(variant);
  }
  std::vector<std::string> names;
  std::istringstream lines(read_text(path, 1 << 20));
  for (std::string line; std::getline(lines, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) {
      line.pop_back();
    }
    if (!line.empty()) {
      names.push_back(line);
    }
  }
  if (names.size() != variant.classes) {
    fail(Code::kCorrupt, "{}: {} class names where {} are expected; correct the file or remove it",
         path.string(), names.size(), variant.classes);
  }
  return names;
}

class CifarSet final : public StoredSet {
 public:
  CifarSet(const std::vector<fs::path>& files, const OpenOptions& options) : paths_(files) {
    root_ = files.front().parent_path();
    native_size_ = {kSide, kSide};
    mirror_ = options.mirror.value_or(MirrorRule::kKeeps);
    for (const fs::path& path : files) {
      maps_.push_back(MappedFile::open(path));
      const std::uint64_t bytes = maps_.back()->bytes().size();
      const Variant variant = variant_of(path, bytes);
      if (maps_.size() > 1 && variant.classes != variant_.classes) {
        fail(Code::kCorrupt, "{}: CIFAR-{} records beside CIFAR-{} ones in {}", path.string(),
             variant.classes, variant_.classes, files.front().string());
      }
      variant_ = variant;
      ends_.push_back((ends_.empty() ? 0 : ends_.back()) + bytes / variant.record());
    }
    class_names_ = names_beside(root_, variant_);
    if (!options.class_names.empty() && options.class_names != class_names_) {
      fail(Code::kMismatch,
           "{}: {} classes, {} to {}, which are not the ones expected; the data belongs to another "
           "model",
           root_.string(), class_names_.size(), class_names_.front(), class_names_.back());
    }
    for (std::uint64_t id = 0; id < size(); ++id) {
      const std::size_t label = label_of(id);
      if (label >= variant_.classes) {
        fail(Code::kCorrupt, "{}: label {} of {} classes; the file is damaged", name(id), label,
             variant_.classes);
      }
    }
  }

  std::uint64_t size() const override { return ends_.back(); }
  Sample read(std::uint64_t id) const override {
    Sample sample = target(id);
    sample.image = make_image(kSide, kSide, 3);
    const Bytes planes = record(id).last(kPixels);
    for (std::size_t i = 0; i < kPixels; ++i) {
      sample.image.pixels[3 * (i % kPlane) + i / kPlane] = static_cast<std::uint8_t>(planes[i]);
    }
    return sample;
  }
  Sample target(std::uint64_t id) const override {
    check_id(id);
    return {{}, static_cast<std::int64_t>(label_of(id)), {}};
  }
  std::string name(std::uint64_t id) const override {
    const auto [file, number] = locate(id);
    return fmt::format("{}#{}", paths_[file].string(), number);
  }

 protected:
  std::vector<std::string> files() const override {
    std::vector<std::string> names;
    for (const fs::path& path : paths_) {
      names.push_back(path.filename().string());
    }
    return names;
  }

 private:
  std::pair<std::size_t, std::uint64_t> locate(std::uint64_t id) const {
    check_id(id);
    const auto file =
        static_cast<std::size_t>(std::upper_bound(ends_.begin(), ends_.end(), id) - ends_.begin());
    return {file, id - (file == 0 ? 0 : ends_[file - 1])};
  }
  Bytes record(std::uint64_t id) const {
    const auto [file, number] = locate(id);
    return maps_[file]->bytes().subspan(number * variant_.record(), variant_.record());
  }
  std::size_t label_of(std::uint64_t id) const {
    return static_cast<std::size_t>(record(id)[variant_.label_bytes - 1]);
  }

  std::vector<fs::path> paths_;
  std::vector<std::shared_ptr<const MappedFile>> maps_;
  std::vector<std::uint64_t> ends_;  // samples up to the end of each file
  Variant variant_;
};

std::vector<fs::path> half_of(const fs::path& folder, Split split) {
  std::vector<std::string> names;
  if (split == Split::kTrain) {
    for (int i = 1; i <= 5; ++i) {
      names.push_back(fmt::format("data_batch_{}.bin", i));
    }
    names.emplace_back("train.bin");
  } else {
    names = {"test_batch.bin", "test.bin"};
  }
  std::vector<fs::path> files;
  for (const std::string& name : names) {
    std::error_code error;
    if (fs::is_regular_file(folder / name, error)) {
      files.push_back(folder / name);
    }
  }
  return files;
}

}  // namespace

bool is_cifar_name(const fs::path& path) { return path.extension() == ".bin"; }

bool holds_cifar(const fs::path& folder) {
  return !half_of(folder, Split::kTrain).empty() || !half_of(folder, Split::kValidation).empty();
}

bool cifar_has_validation(const fs::path& folder) {
  return !half_of(folder, Split::kTrain).empty() && !half_of(folder, Split::kValidation).empty();
}

DatasetPtr open_cifar_files(const std::vector<fs::path>& files, const OpenOptions& options) {
  return std::make_shared<CifarSet>(files, options);
}

DatasetPtr open_cifar_folder(const fs::path& folder, Split split, const OpenOptions& options) {
  std::vector<fs::path> files = half_of(folder, split);
  if (files.empty()) {
    files = half_of(folder, split == Split::kTrain ? Split::kValidation : Split::kTrain);
  }
  return open_cifar_files(files, options);
}

}  // namespace reprise::engine
