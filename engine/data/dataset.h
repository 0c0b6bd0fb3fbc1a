// A set of labelled images, as every source of data looks to training and evaluation.
#pragma once

#include "ckpt/base/sha256.h"
#include "engine/data/image.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace reprise::engine {

enum class Task { kClassification, kRegression };

// What a left-right mirrored image does to its target. kForbids: it would be wrong
// (digits) or nobody said (a number out of a CSV file).
enum class MirrorRule { kKeeps, kNegates, kForbids };

// Per channel: value = (pixel / 255 - mean) / deviation. A grey image uses the first entry.
struct Normalisation {
  std::array<float, 3> mean{0.485F, 0.456F, 0.406F};
  std::array<float, 3> deviation{0.229F, 0.224F, 0.225F};
  bool operator==(const Normalisation&) const = default;
};

// One sample before augmentation. `label` is -1 in regression, `values` is empty in
// classification.
struct Sample {
  Image image;
  std::int64_t label = -1;
  std::vector<float> values;
};

// A file that was left out of a set because it does not decode, and why.
struct BadSample {
  std::string name;
  std::string reason;
};

// Immutable after opening and safe to share between threads, all members included.
// Sample ids are 0 .. size() - 1, and mean the same samples on every machine and at every
// start as long as the digest is the same.
class Dataset {
 public:
  virtual ~Dataset() = default;

  virtual std::uint64_t size() const = 0;
  virtual Task task() const = 0;
  // Classification: the name of each class, by label. Empty in regression.
  virtual const std::vector<std::string>& class_names() const = 0;
  // Regression: the name of each number of a target. Empty in classification.
  virtual const std::vector<std::string>& target_names() const = 0;
  virtual MirrorRule mirror_rule() const = 0;
  // Size of the first image; others may differ, and views scale all to one size.
  virtual ImageSize native_size() const = 0;
  // 1 or 3: of the images as stored. Views turn either into what the model takes.
  virtual int channels() const = 0;
  // What to subtract and divide by when the user says nothing else.
  virtual Normalisation normalisation() const = 0;

  // Reads and decodes one sample. Cost: a file read and a decode, unless cached.
  // Errors: kNotFound, kIo; kCorrupt, kUnsupported for a file that is no readable image,
  // naming it. `id` >= size() is kInternal.
  virtual Sample read(std::uint64_t id) const = 0;
  // The target of a sample alone, without touching its image; `image` is empty.
  virtual Sample target(std::uint64_t id) const = 0;
  // Where a sample comes from, for messages: "train/cat/0007.jpg", "builtin:roads#12".
  virtual std::string name(std::uint64_t id) const = 0;

  // Digest of the data: of every file's relative path, size and SHA-256, whatever order the
  // file system lists them in; for a generated set, of its name, version and size. Computed
  // when first asked for, on all cores (about 30,000 small files or 1 GB a second and core),
  // then kept. Thread-safe. Errors: kNotFound, kIo.
  virtual Digest digest() const = 0;

  // What was left out under OpenOptions::skip_bad; empty otherwise.
  virtual const std::vector<BadSample>& bad_samples() const = 0;
};

}  // namespace reprise::engine
