#include "engine/data/open.h"

#include "ckpt/base/error.h"
#include "ckpt/base/nearest_name.h"
#include "engine/data/derived.h"
#include "engine/data/generated.h"
#include "engine/data/sources.h"

#include <array>
#include <filesystem>

namespace reprise::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kBuiltin = "builtin:";

[[noreturn]] void fail_unknown_builtin(std::string_view spec) {
  const std::array<std::string, 2> known{"builtin:roads", "builtin:digits"};
  const auto near = nearest_name(spec, known);
  fail(Code::kNotFound, "{}: no such built-in data set{}; there are {} and {}", printable(spec),
       near ? ", did you mean " + *near + "?" : "", known[0], known[1]);
}

DatasetPtr open_builtin(std::string_view spec, Split split, const OpenOptions& options) {
  if (spec == "builtin:roads") {
    return generated_roads(split, options.generated_side);
  }
  if (spec == "builtin:digits") {
    return generated_digits(split, options.generated_side);
  }
  fail_unknown_builtin(spec);
}

// What a path holds, judged by its name and the names inside.
enum class Layout {
  kCsv,
  kIdxFile,
  kCifarFile,
  kIdxFolder,
  kCifarFolder,
  kSplitFolders,
  kClassFolders
};

Layout layout_of(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    const std::array<std::string, 2> known{"builtin:roads", "builtin:digits"};
    const auto near = nearest_name(path.string(), known);
    fail(Code::kNotFound, "{}: no such file or folder{}; give --data a path or a built-in set",
         printable(path.string()), near ? ", did you mean " + *near + "?" : "");
  }
  if (fs::is_directory(status)) {
    return holds_idx(path)                     ? Layout::kIdxFolder
           : holds_cifar(path)                 ? Layout::kCifarFolder
           : split_folder(path, Split::kTrain) ? Layout::kSplitFolders
                                               : Layout::kClassFolders;
  }
  return is_idx_name(path)     ? Layout::kIdxFile
         : is_cifar_name(path) ? Layout::kCifarFile
                               : Layout::kCsv;
}

DatasetPtr open_folders(const fs::path& root, Split split, const OpenOptions& options) {
  const auto train = split_folder(root, Split::kTrain);
  const auto validation = split_folder(root, Split::kValidation);
  if (split == Split::kTrain || !validation) {
    return open_image_folder(*train, options);
  }
  OpenOptions with_names = options;
  if (with_names.class_names.empty()) {
    // Labels mean what they mean in training, also when a class is missing here.
    with_names.class_names = class_folders(*train);
  }
  return open_image_folder(*validation, with_names);
}

DatasetPtr open_path(const fs::path& path, Split split, const OpenOptions& options) {
  switch (layout_of(path)) {
    case Layout::kCsv: return open_csv(path, split, options);
    case Layout::kIdxFile: return open_idx_file(path, options);
    case Layout::kIdxFolder: return open_idx_folder(path, split, options);
    case Layout::kCifarFile: return open_cifar_files({path}, options);
    case Layout::kCifarFolder: return open_cifar_folder(path, split, options);
    case Layout::kSplitFolders: return open_folders(path, split, options);
    case Layout::kClassFolders: return open_image_folder(path, options);
  }
  fail(Code::kInternal, "{}: no such layout", path.string());
}

}  // namespace

std::vector<DataSource> data_sources() {
  return {
      {"builtin:roads",
       "generated road scenes with the steering angle: regression, needs no files"},
      {"builtin:digits", "generated drawn digits: 10 classes, needs no files"},
      {"DIR",
       "a folder a class, .jpg .jpeg .png inside; or train/ and val/ or test/ of such folders"},
      {"DIR with *-idx3-ubyte[.gz]", "IDX files as MNIST has them"},
      {"DIR with data_batch_*.bin or train.bin", "CIFAR-10 or CIFAR-100 binaries"},
      {"FILE.csv", "a header, a column path, targets (numbers or classes), maybe a column split"},
  };
}

bool has_validation(std::string_view spec) {
  if (spec.starts_with(kBuiltin)) {
    open_builtin(spec, Split::kValidation, {});
    return true;
  }
  const fs::path path(spec);
  switch (layout_of(path)) {
    case Layout::kCsv: return csv_has_validation(path);
    case Layout::kIdxFolder: return idx_has_validation(path);
    case Layout::kCifarFolder: return cifar_has_validation(path);
    case Layout::kSplitFolders: return split_folder(path, Split::kValidation).has_value();
    default: return false;
  }
}

DatasetPtr open_dataset(std::string_view spec, Split split, const OpenOptions& options) {
  const bool builtin = spec.starts_with(kBuiltin);
  DatasetPtr dataset =
      builtin ? open_builtin(spec, split, options) : open_path(fs::path(spec), split, options);
  if (options.max_samples > 0 && options.max_samples < dataset->size()) {
    const std::uint64_t size = dataset->size();
    dataset = subset(std::move(dataset), spread_ids(size, options.max_samples), {});
  }
  if (options.cache) {
    dataset = cached(std::move(dataset), options.cache_limit_bytes);
  }
  if (options.skip_bad && !builtin) {
    dataset = without_bad_samples(std::move(dataset));
  }
  return dataset;
}

}  // namespace reprise::engine
