#include "ckpt/store/weights_file.h"

#include "ckpt/base/error.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>

namespace reprise::store {

namespace {

constexpr std::string_view kVersionKey = "reprise.version";

std::string tensor_prefix(CheckpointType type, std::string_view state_dict) {
  return type == CheckpointType::kModel ? std::string() : std::string(state_dict) + ".";
}

// The metadata of the file as typed fields.
class Metadata {
 public:
  explicit Metadata(const DictNode& attributes) : attributes_(attributes) {}

  std::optional<std::string> text(std::string_view field) const {
    const Value* value = attributes_.find("reprise." + std::string(field));
    if (value == nullptr) return std::nullopt;
    const auto text = value->if_string();
    if (!text) fail(Code::kCorrupt, "metadata 'reprise.{}' is no text", field);
    return std::string(*text);
  }

  std::uint64_t count(std::string_view field) const {
    const std::string text = this->text(field).value_or("0");
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) {
      fail(Code::kCorrupt, "metadata 'reprise.{}' is '{}', a whole number was expected", field,
           printable(text, 80));
    }
    return number;
  }

  std::optional<Uuid> uuid(std::string_view field) const {
    const auto text = this->text(field);
    if (!text) return std::nullopt;
    const auto uuid = Uuid::parse(*text);
    if (!uuid) {
      fail(Code::kCorrupt, "metadata 'reprise.{}' is '{}', a UUID was expected", field,
           printable(*text, 80));
    }
    return uuid;
  }

  Json json(std::string_view field) const {
    const auto text = this->text(field);
    if (!text) return Json::object();
    try {
      return parse_json(*text);
    } catch (const Error& error) {
      throw error.at(fmt::format("metadata 'reprise.{}'", field));
    }
  }

 private:
  const DictNode& attributes_;
};

void read_parents(Checkpoint& checkpoint, const Json& parents) {
  if (!parents.is_array()) fail(Code::kCorrupt, "metadata 'reprise.parents' is no array");
  for (const Json& parent : parents) {
    const auto uuid = Uuid::parse(require_string(parent, "uuid", "metadata 'reprise.parents'"));
    const auto relation =
        relation_from(require_string(parent, "relation", "metadata 'reprise.parents'"));
    if (!uuid || !relation) {
      fail(Code::kCorrupt,
           "metadata 'reprise.parents' has a parent without uuid or known relation");
    }
    checkpoint.parents.push_back({*uuid, *relation});
  }
}

void read_progress(Checkpoint& checkpoint, const Json& json) {
  if (!json.is_object()) fail(Code::kCorrupt, "metadata 'reprise.progress' is no object");
  constexpr std::string_view kPlace = "metadata 'reprise.progress'";
  checkpoint.progress = TrainingProgress{require_uint(json, "update", kPlace),
                                         require_uint(json, "epoch", kPlace),
                                         require_uint(json, "samples_seen", kPlace),
                                         require_uint(json, "batch_cursor", kPlace),
                                         std::nullopt,
                                         std::nullopt};
  if (json.contains("source_iteration")) {
    checkpoint.progress->source_iteration = require_uint(json, "source_iteration", kPlace);
  }
}

// The file's tensors in the order that they had in the checkpoint.
std::vector<DictEntry> in_order(const DictNode& root, const Metadata& metadata) {
  std::vector<DictEntry> entries(root.entries.begin(), root.entries.end());
  if (!metadata.text("order")) return entries;
  const Json order = metadata.json("order");
  std::unordered_map<std::string_view, std::size_t> place;
  if (order.is_array()) {
    for (const Json& name : order) {
      if (name.is_string()) place.emplace(name.get_ref<const std::string&>(), place.size());
    }
  }
  for (const DictEntry& entry : entries) {
    if (place.size() != entries.size() || !place.contains(entry.key.as_string())) {
      fail(Code::kCorrupt, "metadata 'reprise.order' does not list the tensors of this file");
    }
  }
  std::ranges::sort(entries, {}, [&](const DictEntry& e) { return place.at(e.key.as_string()); });
  return entries;
}

StateDict* state_dict_of(Checkpoint& checkpoint, std::string_view& name) {
  if (checkpoint.type == CheckpointType::kModel) return &checkpoint.model;
  const std::pair<std::string_view, StateDict*> all[] = {{"student.", &checkpoint.student},
                                                         {"teacher.", &checkpoint.teacher},
                                                         {"backbone.", &checkpoint.backbone},
                                                         {"head.", &checkpoint.head}};
  for (const auto& [prefix, dict] : all) {
    if (name.starts_with(prefix)) {
      name.remove_prefix(prefix.size());
      return dict;
    }
  }
  return nullptr;
}

}  // namespace

WeightsFile to_weights_file(const Checkpoint& checkpoint) {
  WeightsFile file;
  for (const auto& [dict_name, dict] : checkpoint.state_dicts()) {
    const std::string prefix = tensor_prefix(checkpoint.type, dict_name);
    for (const auto& [name, tensor] : *dict) {
      if (safetensors_name(tensor.dtype())) file.tensors.emplace_back(prefix + name, tensor);
    }
  }
  auto& metadata = file.metadata;
  Json order = Json::array();
  for (const auto& [name, tensor] : file.tensors) order.push_back(name);
  metadata["reprise.order"] = dump_json(order);
  metadata["format"] = "pt";
  metadata[std::string(kVersionKey)] = std::to_string(kSchemaVersion);
  metadata["reprise.type"] = to_string(checkpoint.type);
  if (checkpoint.epoch_known) metadata["reprise.epoch"] = std::to_string(checkpoint.epoch);
  metadata["reprise.uuid"] = checkpoint.uuid.text();
  if (!checkpoint.arch.empty()) metadata["reprise.arch"] = checkpoint.arch;
  if (checkpoint.arch_head) metadata["reprise.arch_head"] = *checkpoint.arch_head;
  if (checkpoint.uuid_backbone)
    metadata["reprise.uuid_backbone"] = checkpoint.uuid_backbone->text();
  metadata["reprise.config"] = dump_json(checkpoint.config);
  metadata["reprise.metrics"] = dump_json(checkpoint.metrics);
  if (checkpoint.run) metadata["reprise.run"] = checkpoint.run->text();
  if (!checkpoint.parents.empty()) {
    Json parents = Json::array();
    for (const Parent& parent : checkpoint.parents) {
      parents.push_back({{"uuid", parent.uuid.text()}, {"relation", to_string(parent.relation)}});
    }
    metadata["reprise.parents"] = dump_json(parents);
  }
  if (const auto& progress = checkpoint.progress) {
    Json json = {{"update", progress->update},
                 {"epoch", progress->epoch},
                 {"samples_seen", progress->samples_seen},
                 {"batch_cursor", progress->batch_cursor}};
    if (progress->source_iteration) json["source_iteration"] = *progress->source_iteration;
    metadata["reprise.progress"] = dump_json(json);
  }
  if (checkpoint.config_text) metadata["reprise.config_text"] = *checkpoint.config_text;
  if (!checkpoint.random.empty()) metadata["reprise.random"] = dump_json(checkpoint.random);
  if (checkpoint.fingerprint) metadata["reprise.fingerprint"] = checkpoint.fingerprint->hex();
  if (checkpoint.ledger) {
    metadata["reprise.ledger"] = dump_json(
        {{"update", checkpoint.ledger->update}, {"chain", checkpoint.ledger->chain.hex()}});
  }
  return file;
}

bool is_weights_file(const Document& document) {
  const DictNode* root = document.root.if_dict();
  if (document.container != "safetensors" || root == nullptr) return false;
  const DictNode* attributes = root->attributes.if_dict();
  return attributes != nullptr && attributes->contains(kVersionKey);
}

Document from_weights_file(const Document& document) {
  const DictNode& root = document.root.as_dict();
  const Metadata metadata(root.attributes.as_dict());
  const std::uint64_t version = metadata.count("version");
  if (version > kSchemaVersion) {
    fail(Code::kUnsupported,
         "schema version {} is newer than {}, the newest this build knows; use a newer Reprise",
         version, kSchemaVersion);
  }
  Checkpoint checkpoint;
  checkpoint.arena = document.arena;
  const std::string type_name = metadata.text("type").value_or("");
  const auto type = checkpoint_type_from(type_name);
  if (!type)
    fail(Code::kCorrupt, "metadata 'reprise.type' is '{}', dino, supervised or model was expected",
         printable(type_name, 80));
  checkpoint.type = *type;
  checkpoint.epoch = metadata.count("epoch");
  checkpoint.epoch_known = metadata.text("epoch").has_value();
  checkpoint.uuid = metadata.uuid("uuid").value_or(Uuid());
  checkpoint.arch = metadata.text("arch").value_or("");
  checkpoint.arch_head = metadata.text("arch_head");
  checkpoint.uuid_backbone = metadata.uuid("uuid_backbone");
  checkpoint.config = metadata.json("config");
  checkpoint.metrics = metadata.json("metrics");
  checkpoint.config_text = metadata.text("config_text");
  checkpoint.run = metadata.uuid("run");
  if (metadata.text("parents")) read_parents(checkpoint, metadata.json("parents"));
  if (metadata.text("progress")) read_progress(checkpoint, metadata.json("progress"));
  checkpoint.random = metadata.json("random");
  if (const auto hex = metadata.text("fingerprint"))
    checkpoint.fingerprint = Digest::from_hex(*hex);
  if (metadata.text("ledger")) {
    const Json ledger = metadata.json("ledger");
    checkpoint.ledger = {
        require_uint(ledger, "update", "metadata 'reprise.ledger'"),
        Digest::from_hex(require_string(ledger, "chain", "metadata 'reprise.ledger'"))};
  }
  for (const DictEntry& entry : in_order(root, metadata)) {
    std::string_view name = entry.key.as_string();
    StateDict* dict = state_dict_of(checkpoint, name);
    if (dict == nullptr) {
      fail(Code::kCorrupt, "tensor '{}' belongs to no state dict of a {} checkpoint",
           printable(entry.key.as_string()), to_string(checkpoint.type));
    }
    dict->append(std::string(name), entry.value.as_tensor().tensor);
  }
  Document upgraded = checkpoint.to_document();
  upgraded.path = document.path;
  upgraded.container = document.container;
  return upgraded;
}

}  // namespace reprise::store
