#include "tests/migrate/steps/truth.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/container/canonical.h"

#include <cstdlib>
#include <map>

namespace reprise::testing {
namespace fs = std::filesystem;

namespace {

struct Flat {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, Value> scalars;  // of the optimizer's state
};

Flat flatten(const Checkpoint& checkpoint) {
  Flat flat;
  const auto add = [&](std::string_view part, const StateDict& tensors) {
    for (const auto& [name, tensor] : tensors)
      flat.tensors.emplace(fmt::format("{}/{}", part, name), tensor);
  };
  for (const auto& [part, tensors] : checkpoint.state_dicts()) add(part, *tensors);
  add("loss_func", checkpoint.loss_func);
  if (!checkpoint.optimizer.is_dict()) return flat;
  for (const DictEntry& entry : checkpoint.optimizer.as_dict().get("state").as_dict().entries) {
    for (const DictEntry& item : entry.value.as_dict().entries) {
      const std::string name =
          fmt::format("optimizer/state/{}/{}", entry.key.as_int(), item.key.as_string());
      if (const TensorNode* node = item.value.if_tensor()) {
        flat.tensors.emplace(name, node->tensor);
      } else {
        flat.scalars.emplace(name, item.value);
      }
    }
  }
  return flat;
}

Json canonical(Value value) { return Json::parse(container::canonical_json(value)); }

// param_groups as the truth writes them: floats in hexadecimal, tuples as lists.
Json option_json(Value value) {
  if (value.is_sequence()) {
    Json list = Json::array();
    for (const Value& item : value.as_sequence().items) list.push_back(option_json(item));
    return list;
  }
  return canonical(value);
}

Json groups_json(const Checkpoint& checkpoint) {
  Json groups = Json::array();
  for (const Value& group :
       checkpoint.optimizer.as_dict().get("param_groups").as_sequence().items) {
    Json object = Json::object();
    for (const DictEntry& entry : group.as_dict().entries)
      object[std::string(entry.key.as_string())] = option_json(entry.value);
    groups.push_back(object);
  }
  return groups;
}

class Comparison {
 public:
  explicit Comparison(const store::UpgradedFile& file)
      : file_(file), checkpoint_(file.checkpoint) {}

  std::vector<std::string> run(const Json& truth) {
    compare_tensors(truth.at("tensors"));
    for (const auto& [key, expected] : truth.at("scalars").items()) compare_scalar(key, expected);
    same("resumable", truth.at("resumable"), checkpoint_.resumable());
    return differences_;
  }

 private:
  void same(const std::string& what, const Json& expected, const Json& found) {
    if (expected != found)
      differences_.push_back(
          fmt::format("{}: expected {}, found {}", what, dump_json(expected), dump_json(found)));
  }

  void compare_tensors(const Json& expected) {
    for (const auto& [name, facts] : expected.items()) {
      const auto found = flat_.tensors.find(name);
      if (found == flat_.tensors.end()) {
        differences_.push_back(name + " is missing");
        continue;
      }
      same(name + " dtype", facts.at("dtype"), std::string(reprise::name(found->second.dtype())));
      same(name + " shape", facts.at("shape"), Json(found->second.shape()));
      same(name + " sha256", facts.at("sha256"), found->second.digest().hex());
    }
    for (const auto& [name, tensor] : flat_.tensors) {
      if (!expected.contains(name)) differences_.push_back(name + " is too much");
    }
  }

  void compare_scalar(const std::string& key, const Json& expected) {
    const Json nothing = nullptr;
    if (key == "version") return same(key, expected, kSchemaVersion);
    if (key == "type") return same(key, expected, std::string(to_string(checkpoint_.type)));
    if (key == "epoch")
      return same(key, expected, checkpoint_.epoch_known ? Json(checkpoint_.epoch) : nothing);
    if (key == "uuid") return same(key, expected, checkpoint_.uuid.text());
    if (key == "arch")
      return same(key, expected, checkpoint_.arch.empty() ? nothing : Json(checkpoint_.arch));
    if (key == "arch_head")
      return same(key, expected, checkpoint_.arch_head ? Json(*checkpoint_.arch_head) : nothing);
    if (key == "uuid_backbone")
      return same(key, expected,
                  checkpoint_.uuid_backbone ? Json(checkpoint_.uuid_backbone->text()) : nothing);
    if (key == "uuid_is_derived")
      return same(
          key, expected,
          checkpoint_.parents == std::vector<Parent>{{checkpoint_.uuid, Relation::kMigratedFrom}});
    if (key == "config") return same(key, expected, checkpoint_.config);
    if (key == "config_text")
      return same(key, expected,
                  checkpoint_.config_text ? Json(*checkpoint_.config_text) : nothing);
    if (key == "metrics") return same(key, expected, checkpoint_.metrics);
    if (key == "unmapped") return same(key, expected, Json(file_.upgraded.unmapped));
    if (key == "scheduler") return same(key, expected, canonical(checkpoint_.scheduler));
    if (key == "scaler") return same(key, expected, canonical(checkpoint_.scaler));
    if (key == "progress") return compare_progress(expected);
    if (key == "optimizer/param_groups") return same(key, expected, groups_json(checkpoint_));
    const auto found = flat_.scalars.find(key);
    same(key, expected, found == flat_.scalars.end() ? nothing : canonical(found->second));
  }

  void compare_progress(const Json& expected) {
    if (!checkpoint_.progress) return differences_.push_back("progress is missing");
    same("progress/update", expected.at("update"), checkpoint_.progress->update);
    if (expected.contains("train_i"))
      same("progress/train_i", expected.at("train_i"),
           checkpoint_.progress->source_iteration.value_or(0));
  }

  const store::UpgradedFile& file_;
  const Checkpoint& checkpoint_;
  Flat flat_ = flatten(checkpoint_);
  std::vector<std::string> differences_;
};

}  // namespace

std::vector<std::string> differences(const store::UpgradedFile& file, const fs::path& truth_json) {
  return Comparison(file).run(Json::parse(read_text(truth_json)));
}

fs::path legacy_folder() {
  const char* other = std::getenv("REPRISE_LEGACY_DIR");
  return other != nullptr ? fs::path(other) : fs::path(REPRISE_SHARED_DIR) / "legacy";
}

}  // namespace reprise::testing
