#include "experiment/data_facts.h"

#include "ckpt/base/error.h"

#include <cmath>

namespace reprise::experiment {
namespace {

constexpr std::string_view kPlace = "configuration of the checkpoint: derived";
constexpr std::uint64_t kMostNames = 1U << 20;

std::vector<std::string> names(const Json& json, std::string_view key) {
  const Json& array = require_array(json, key, kPlace);
  if (array.size() > kMostNames) {
    fail(Code::kCorrupt, "{}: {} has {} entries", kPlace, key, array.size());
  }
  std::vector<std::string> out;
  for (const Json& entry : array) {
    if (!entry.is_string()) fail(Code::kCorrupt, "{}: {} holds what is no text", kPlace, key);
    out.push_back(entry.get<std::string>());
  }
  return out;
}

std::array<float, 3> three(const Json& json, std::string_view key) {
  const Json& array = require_array(json, key, kPlace);
  std::array<float, 3> out{};
  if (array.size() != out.size()) {
    fail(Code::kCorrupt, "{}: {} has {} numbers, expected 3", kPlace, key, array.size());
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (!array[i].is_number()) fail(Code::kCorrupt, "{}: {} holds no number", kPlace, key);
    out[i] = array[i].get<float>();
  }
  return out;
}

int small_number(const Json& json, std::string_view key, std::uint64_t high) {
  const std::uint64_t value = require_uint(json, key, kPlace);
  if (value == 0 || value > high) {
    fail(Code::kCorrupt, "{}: {} is {}, expected 1 to {}", kPlace, key, value, high);
  }
  return static_cast<int>(value);
}

}  // namespace

Json to_json(const DataFacts& facts) {
  return {{"task", facts.task == engine::Task::kClassification ? "classification" : "regression"},
          {"class-names", facts.class_names},
          {"target-names", facts.target_names},
          {"channels", static_cast<std::uint64_t>(facts.channels)},
          {"image-size", static_cast<std::uint64_t>(facts.image_size)},
          {"mean", facts.normalisation.mean},
          {"deviation", facts.normalisation.deviation},
          {"train-samples", facts.train_samples},
          {"train-digest", facts.train_digest},
          {"val-samples", facts.val_samples},
          {"val-digest", facts.val_digest}};
}

DataFacts data_facts_from(const Json& json) {
  DataFacts facts;
  const std::string task = require_string(json, "task", kPlace);
  if (task != "classification" && task != "regression") {
    fail(Code::kCorrupt, "{}: task is '{}', expected classification or regression", kPlace,
         printable(task));
  }
  facts.task = task == "regression" ? engine::Task::kRegression : engine::Task::kClassification;
  facts.class_names = names(json, "class-names");
  facts.target_names = names(json, "target-names");
  if (facts.outputs() == 0) fail(Code::kCorrupt, "{}: neither classes nor targets", kPlace);
  facts.channels = small_number(json, "channels", 3);
  facts.image_size = small_number(json, "image-size", 4096);
  facts.normalisation.mean = three(json, "mean");
  facts.normalisation.deviation = three(json, "deviation");
  facts.train_samples = require_uint(json, "train-samples", kPlace);
  facts.train_digest = require_string(json, "train-digest", kPlace);
  facts.val_samples = require_uint(json, "val-samples", kPlace);
  facts.val_digest = require_string(json, "val-digest", kPlace);
  return facts;
}

}  // namespace reprise::experiment
