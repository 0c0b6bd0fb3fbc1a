#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "engine/data/decode.h"
#include "engine/data/gunzip.h"
#include "engine/data/sources.h"
#include "engine/data/stored_set.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace reprise::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLargestIdx = std::uint64_t{4} << 30;

// An IDX file of unsigned bytes: mapped, or unpacked into memory.
struct IdxFile {
  std::shared_ptr<const MappedFile> mapped;
  std::vector<std::byte> unpacked;
  std::vector<std::uint64_t> shape;
  Bytes values;
};

std::uint32_t big_endian(Bytes bytes) {
  return static_cast<std::uint32_t>(bytes[0]) << 24 | static_cast<std::uint32_t>(bytes[1]) << 16 |
         static_cast<std::uint32_t>(bytes[2]) << 8 | static_cast<std::uint32_t>(bytes[3]);
}

IdxFile read_idx(const fs::path& path, std::size_t dimensions) {
  IdxFile idx;
  idx.mapped = MappedFile::open(path);
  Bytes bytes = idx.mapped->bytes();
  if (is_gzip(bytes)) {
    idx.unpacked = gunzip(bytes, kLargestIdx, path.string());
    idx.mapped.reset();
    bytes = idx.unpacked;
  }
  const std::size_t header = 4 + 4 * dimensions;
  if (bytes.size() < header) {
    fail(Code::kCorrupt,
         "{}: {} bytes, an IDX header of {} dimensions takes {}; the file is truncated",
         path.string(), bytes.size(), dimensions, header);
  }
  const std::uint32_t expected = 0x0800U + static_cast<std::uint32_t>(dimensions);
  if (big_endian(bytes) != expected) {
    fail(Code::kUnsupported,
         "{}: begins with {:08x}, expected {:08x}: IDX of unsigned bytes in {} dimensions",
         path.string(), big_endian(bytes), expected, dimensions);
  }
  std::uint64_t product = 1;
  for (std::size_t i = 0; i < dimensions; ++i) {
    const std::uint64_t extent = big_endian(bytes.subspan(4 + 4 * i));
    idx.shape.push_back(extent);
    const auto next = checked_multiply(product, extent);
    product = next.value_or(~std::uint64_t{0});
    if (extent == 0 || product > kLargestIdx) {
      fail(Code::kCorrupt, "{}: the dimensions {}, which no IDX image set has; the file is damaged",
           path.string(), fmt::join(idx.shape, " x "));
    }
  }
  idx.values = bytes.subspan(header);
  if (idx.values.size() != product) {
    fail(Code::kCorrupt, "{}: the header promises {} bytes of values, {} are there; the file is {}",
         path.string(), product, idx.values.size(),
         idx.values.size() < product ? "truncated" : "damaged");
  }
  return idx;
}

// The names MNIST's files have in the wild, with '-' or '.' before "idx".
std::optional<fs::path> find_part(const fs::path& folder, std::string_view prefix,
                                  std::string_view what, int dimensions) {
  for (const char separator : {'-', '.'}) {
    for (const std::string_view suffix : {"", ".gz"}) {
      const fs::path path =
          folder / fmt::format("{}-{}{}idx{}-ubyte{}", prefix, what, separator, dimensions, suffix);
      std::error_code error;
      if (fs::is_regular_file(path, error)) {
        return path;
      }
    }
  }
  return std::nullopt;
}

std::string_view prefix_of(Split split) { return split == Split::kTrain ? "train" : "t10k"; }

// train-images-idx3-ubyte.gz -> train-labels-idx1-ubyte.gz, packed or not.
fs::path labels_beside(const fs::path& images) {
  std::string name = images.filename().string();
  const auto replace = [&name](std::string_view from, std::string_view to) {
    if (const auto at = name.find(from); at != std::string::npos) {
      name.replace(at, from.size(), to);
    }
  };
  replace("images", "labels");
  replace("idx3", "idx1");
  const fs::path beside = images.parent_path() / name;
  const fs::path packed = beside.string() + ".gz";
  const fs::path plain =
      beside.extension() == ".gz" ? beside.parent_path() / beside.stem() : beside;
  for (const fs::path& path : {beside, packed, plain}) {
    std::error_code error;
    if (path != images && fs::is_regular_file(path, error)) {
      return path;
    }
  }
  fail(Code::kNotFound, "{}: the labels are not beside the images: expected {}", images.string(),
       beside.string());
}

class IdxSet final : public StoredSet {
 public:
  IdxSet(const fs::path& images, const fs::path& labels, std::size_t classes,
         const OpenOptions& options)
      : images_path_(images),
        labels_path_(labels),
        images_(read_idx(images, 3)),
        labels_(read_idx(labels, 1)) {
    root_ = images.parent_path();
    channels_ = 1;
    // Mostly written characters, whose meaning changes in a mirror.
    mirror_ = options.mirror.value_or(MirrorRule::kForbids);
    normalisation_ = {{0.1307F, 0.1307F, 0.1307F}, {0.3081F, 0.3081F, 0.3081F}};
    if (images_.shape[0] != labels_.shape[0]) {
      fail(Code::kCorrupt,
           "{}: {} images, but {} has {} labels; one of the two belongs to another set",
           images.string(), images_.shape[0], labels.string(), labels_.shape[0]);
    }
    check_side(images_.shape[1]);
    check_side(images_.shape[2]);
    native_size_ = {static_cast<int>(images_.shape[1]), static_cast<int>(images_.shape[2])};
    const std::size_t seen = 1 + largest_label();
    class_names_ = options.class_names;
    for (std::size_t i = class_names_.size();
         options.class_names.empty() && i < std::max(seen, classes); ++i) {
      class_names_.push_back(std::to_string(i));
    }
    if (seen > class_names_.size()) {
      fail(Code::kMismatch,
           "{}: label {} where {} classes are known; the data belongs to another model",
           labels.string(), seen - 1, class_names_.size());
    }
  }

  std::size_t largest_label() const {
    return static_cast<std::size_t>(
        *std::max_element(labels_.values.begin(), labels_.values.end()));
  }

  std::uint64_t size() const override { return images_.shape[0]; }
  Sample read(std::uint64_t id) const override {
    Sample sample = target(id);
    sample.image = make_image(native_size_.height, native_size_.width, 1);
    const std::size_t bytes = sample.image.bytes();
    const Bytes pixels = images_.values.subspan(id * bytes, bytes);
    std::transform(pixels.begin(), pixels.end(), sample.image.pixels.begin(),
                   [](std::byte value) { return static_cast<std::uint8_t>(value); });
    return sample;
  }
  Sample target(std::uint64_t id) const override {
    check_id(id);
    return {{}, static_cast<std::int64_t>(labels_.values[id]), {}};
  }
  std::string name(std::uint64_t id) const override {
    return fmt::format("{}#{}", images_path_.string(), id);
  }

 protected:
  std::vector<std::string> files() const override {
    return {images_path_.filename().string(), labels_path_.filename().string()};
  }

 private:
  void check_side(std::uint64_t side) const {
    constexpr std::uint64_t kLargestSide = 65536;
    if (side > kLargestSide) {
      fail(Code::kCorrupt, "{}: images with a side of {} pixels; the file is damaged",
           images_path_.string(), side);
    }
  }

  fs::path images_path_, labels_path_;
  IdxFile images_, labels_;
};

}  // namespace

bool is_idx_name(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.find("idx3-ubyte") != std::string::npos;
}

bool holds_idx(const fs::path& folder) {
  return find_part(folder, "train", "images", 3) || find_part(folder, "t10k", "images", 3);
}

bool idx_has_validation(const fs::path& folder) {
  return find_part(folder, "train", "images", 3) && find_part(folder, "t10k", "images", 3);
}

DatasetPtr open_idx_file(const fs::path& images, const OpenOptions& options) {
  return std::make_shared<IdxSet>(images, labels_beside(images), 0, options);
}

DatasetPtr open_idx_folder(const fs::path& folder, Split split, const OpenOptions& options) {
  auto images = find_part(folder, prefix_of(split), "images", 3);
  if (!images) {  // one half only: it is the whole
    images = find_part(folder, "train", "images", 3);
    images = images ? images : find_part(folder, "t10k", "images", 3);
  }
  // Both halves have the classes of the larger one.
  std::size_t classes = 0;
  for (const Split half : {Split::kTrain, Split::kValidation}) {
    if (const auto labels = find_part(folder, prefix_of(half), "labels", 1)) {
      const IdxFile file = read_idx(*labels, 1);
      classes = std::max(classes, 1 + static_cast<std::size_t>(*std::max_element(
                                          file.values.begin(), file.values.end())));
    }
  }
  return std::make_shared<IdxSet>(*images, labels_beside(*images), classes, options);
}

}  // namespace reprise::engine
