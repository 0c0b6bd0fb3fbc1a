// What follows from the training data and not from options: a checkpoint stores it, so that
// evaluation and resuming need not guess it, and a changed data set is noticed.
#pragma once

#include "ckpt/base/json.h"
#include "ckpt/base/sha256.h"
#include "engine/data/dataset.h"

#include <cstdint>
#include <string>
#include <vector>

namespace reprise::experiment {

// A value.
struct DataFacts {
  engine::Task task = engine::Task::kClassification;
  std::vector<std::string> class_names;   // by label; empty in regression
  std::vector<std::string> target_names;  // empty in classification
  int channels = 3;
  int image_size = 0;  // side of what the network sees
  engine::Normalisation normalisation;
  std::uint64_t train_samples = 0;
  std::string train_digest;
  std::uint64_t val_samples = 0;  // 0: nothing to evaluate on
  std::string val_digest;

  // Numbers that come out of the network.
  std::int64_t outputs() const {
    return static_cast<std::int64_t>(class_names.empty() ? target_names.size()
                                                         : class_names.size());
  }
};

Json to_json(const DataFacts& facts);
// Errors: kCorrupt naming the key, for facts of a file that somebody changed.
DataFacts data_facts_from(const Json& json);

}  // namespace reprise::experiment
