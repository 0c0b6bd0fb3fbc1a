// From what the user wrote after --data to a Dataset.
#pragma once

#include "engine/data/dataset.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace reprise::engine {

enum class Split { kTrain, kValidation };

struct OpenOptions {
  // Keep decoded images in memory once read (generated ones once rendered).
  bool cache = false;
  // What may be kept so; beyond it images are decoded each time.
  std::uint64_t cache_limit_bytes = std::uint64_t{8} << 30;
  // Leave out images that do not decode: all are decoded once at opening, which is also
  // what makes sample ids, order and evaluation exact. Off: the first one stops the run.
  bool skip_bad = false;
  // At most so many samples (0: all), spread evenly over the set.
  std::uint64_t max_samples = 0;
  // Classes in label order; empty: as found, sorted by name. A class in the data that is
  // not here is an error. Pass the training set's names when opening a validation set.
  std::vector<std::string> class_names;
  // CSV: the target columns; empty: every column that is neither the path nor `split`.
  std::vector<std::string> target_columns;
  // CSV: what targets are; nothing: classes if a value is no number or the column is
  // called label, class or category.
  std::optional<Task> task;
  // What mirroring does to the target; nothing: what is known of the set.
  std::optional<MirrorRule> mirror;
  // Generated sets: side of the square image, 0 for the default (roads 64, digits 32).
  int generated_side = 0;
};

// What `open_dataset` understands, for --list data and for help: spec and what it is.
struct DataSource {
  std::string spec;
  std::string about;
};
std::vector<DataSource> data_sources();

// Opens the `split` half of `spec`, or the whole where it has no halves.
//   builtin:roads    regression of the steering angle; see roads.h. 8,192 + 1,024 samples
//   builtin:digits   ten classes of drawn digits.                   8,192 + 1,024 samples
//   DIR              a folder a class, images (.jpg .jpeg .png) inside at any depth; or a
//                    root of train/ and val/, validation/ or test/ of such folders
//   DIR              IDX files with MNIST's names, .gz or not; CIFAR-10 or -100 binaries
//   FILE.csv         RFC 4180 with a header: a column path (or file, filename, image),
//                    targets, and maybe split (train, val, validation, test)
//   FILE             one IDX image file (labels beside it) or one CIFAR binary
// Cost: lists folders and reads indexes and headers; decodes nothing but the first image
// (but see skip_bad and cache).
// Errors: kNotFound (with the nearest built-in name); kUsage for options that do not fit the
// source; kCorrupt, kUnsupported naming the file; kCorrupt for a set with no samples.
std::shared_ptr<const Dataset> open_dataset(std::string_view spec, Split split,
                                            const OpenOptions& options = {});

// Whether `spec` itself says what to validate on. Errors: as open_dataset.
bool has_validation(std::string_view spec);

}  // namespace reprise::engine
