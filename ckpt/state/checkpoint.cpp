#include "ckpt/state/checkpoint.h"

#include "ckpt/base/error.h"

#include <algorithm>
#include <array>
#include <limits>

namespace reprise {

namespace {

// DO NOT CHANGE: these names are in files.
constexpr std::array<std::pair<CheckpointType, std::string_view>, 3> kTypes = {{
    {CheckpointType::kDino, "dino"},
    {CheckpointType::kSupervised, "supervised"},
    {CheckpointType::kModel, "model"},
}};
constexpr std::array<std::pair<Relation, std::string_view>, 5> kRelations = {{
    {Relation::kResumed, "resumed"},
    {Relation::kLoaded, "loaded"},
    {Relation::kDistilledFrom, "distilled-from"},
    {Relation::kBackbone, "backbone"},
    {Relation::kMigratedFrom, "migrated-from"},
}};

std::string_view kind_name(Value value) {
  switch (value.kind()) {
    case Kind::kNone: return "none";
    case Kind::kBool: return "a bool";
    case Kind::kInt:
    case Kind::kBigInt: return "an integer";
    case Kind::kFloat: return "a float";
    case Kind::kString: return "a string";
    case Kind::kDict: return "a dict";
    case Kind::kTensor: return "a tensor";
    case Kind::kOpaque: return "an object of an unknown class";
    default: return value.is_sequence() ? "a sequence" : "a value of another type";
  }
}

[[noreturn]] void wrong_field(std::string_view field, Value found, std::string_view expected) {
  fail(Code::kCorrupt, "field '{}' is {}, {} was expected", field, kind_name(found), expected);
}

// Typed access to one dict of the document. Every getter returns nothing for an
// absent key and throws for a value of another type.
class Fields {
 public:
  Fields(const DictNode& dict, std::string_view prefix) : dict_(dict), prefix_(prefix) {}

  std::string full_name(std::string_view key) const { return fmt::format("{}{}", prefix_, key); }

  const Value* find(std::string_view key) const {
    const Value* value = dict_.find(key);
    return value == nullptr || value->is_none() ? nullptr : value;
  }

  std::optional<std::string> text(std::string_view key) const {
    const Value* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_string()) wrong_field(full_name(key), *value, "a string");
    return std::string(value->as_string());
  }

  std::optional<std::uint64_t> count(std::string_view key) const {
    const Value* value = find(key);
    if (value == nullptr) return std::nullopt;
    const auto number = value->if_int();
    if (!number) wrong_field(full_name(key), *value, "an integer");
    if (*number < 0)
      fail(Code::kCorrupt, "field '{}' is {}, at least 0 was expected", full_name(key), *number);
    return static_cast<std::uint64_t>(*number);
  }

  double number(std::string_view key) const {
    const Value* value = find(key);
    const auto number = value == nullptr ? std::nullopt : value->if_number();
    if (!number) wrong_field(full_name(key), value == nullptr ? Value() : *value, "a number");
    return *number;
  }

  std::optional<Uuid> uuid(std::string_view key) const {
    const auto text = this->text(key);
    if (!text) return std::nullopt;
    const auto uuid = Uuid::parse(*text);
    if (!uuid)
      fail(Code::kCorrupt, "field '{}' is '{}', a UUID was expected", full_name(key),
           printable(*text, 80));
    return uuid;
  }

  std::optional<Digest> digest(std::string_view key) const {
    const auto text = this->text(key);
    return text ? std::optional(Digest::from_hex(*text)) : std::nullopt;
  }

  // JSON kept as a string, as schema v5 has it.
  Json json_object(std::string_view key) const {
    const auto text = this->text(key);
    if (!text) return nullptr;
    Json json;
    try {
      json = parse_json(*text);
    } catch (const Error& error) {
      throw error.at(full_name(key));
    }
    if (!json.is_object()) fail(Code::kCorrupt, "field '{}' holds no JSON object", full_name(key));
    return json;
  }

  const DictNode* dict(std::string_view key) const {
    const Value* value = find(key);
    if (value == nullptr) return nullptr;
    if (!value->is_dict()) wrong_field(full_name(key), *value, "a dict");
    return &value->as_dict();
  }

  StateDict state_dict(std::string_view key) const {
    StateDict tensors;
    const DictNode* dict = this->dict(key);
    if (dict == nullptr) return tensors;
    for (const DictEntry& entry : dict->entries) {
      if (!entry.key.is_string()) wrong_field(full_name(key), entry.key, "a string as key");
      const std::string name(entry.key.as_string());
      const TensorNode* node = entry.value.if_tensor();
      if (node == nullptr || node->layout != TensorLayout::kStrided || node->quantizer) {
        wrong_field(fmt::format("{}/{}", full_name(key), printable(name)), entry.value,
                    "a dense tensor");
      }
      tensors.append(name, node->tensor);
    }
    return tensors;
  }

 private:
  const DictNode& dict_;
  std::string_view prefix_;
};

void read_optimizer(Checkpoint& checkpoint, const Fields& fields) {
  const DictNode* optimizer = fields.dict("optimizer");
  if (optimizer == nullptr) return;
  const Value state = optimizer->get("state");
  const Value groups = optimizer->get("param_groups");
  if (!state.is_dict()) wrong_field("optimizer/state", state, "a dict");
  if (groups.kind() != Kind::kList) wrong_field("optimizer/param_groups", groups, "a list");
  for (const DictEntry& entry : state.as_dict().entries) {
    if (!entry.key.if_int()) wrong_field("optimizer/state", entry.key, "a parameter index as key");
    if (!entry.value.is_dict()) wrong_field("optimizer/state", entry.value, "a dict per parameter");
  }
  for (const Value& group : groups.as_sequence().items) {
    if (!group.is_dict()) wrong_field("optimizer/param_groups", group, "a dict per group");
  }
  checkpoint.optimizer = *fields.find("optimizer");
}

void read_parents(Checkpoint& checkpoint, const Fields& fields) {
  const Value* parents = fields.find("parents");
  if (parents == nullptr) return;
  if (!parents->is_sequence()) wrong_field("reprise/parents", *parents, "a list");
  for (const Value& item : parents->as_sequence().items) {
    if (!item.is_dict()) wrong_field("reprise/parents", item, "a dict per parent");
    const Fields parent(item.as_dict(), "reprise/parents/");
    const auto uuid = parent.uuid("uuid");
    const auto relation = relation_from(parent.text("relation").value_or(""));
    if (!uuid || !relation)
      fail(Code::kCorrupt, "field 'reprise/parents' has a parent without uuid or known relation");
    checkpoint.parents.push_back({*uuid, *relation});
  }
}

// Fields that schema v5 always has and this checkpoint's source did not.
void read_unknown(Checkpoint& checkpoint, const Fields& fields) {
  const Value* unknown = fields.find("unknown");
  if (unknown == nullptr) return;
  if (!unknown->is_sequence()) wrong_field("reprise/unknown", *unknown, "a list of field names");
  for (const Value& item : unknown->as_sequence().items) {
    const std::string_view name = item.if_string().value_or("");
    if (name == "epoch") checkpoint.epoch_known = false;
    if (name == "config") checkpoint.config = nullptr;
    if (name == "metrics") checkpoint.metrics = nullptr;
  }
}

TrainingProgress progress_from(const DictNode& dict) {
  const Fields fields(dict, "reprise/progress/");
  TrainingProgress progress;
  progress.update = fields.count("update").value_or(0);
  progress.epoch = fields.count("epoch").value_or(0);
  progress.samples_seen = fields.count("samples_seen").value_or(0);
  progress.batch_cursor = fields.count("batch_cursor").value_or(0);
  progress.source_iteration = fields.count("source_iteration");
  if (const DictNode* interval = fields.dict("interval")) {
    const Fields sums(*interval, "reprise/progress/interval/");
    progress.interval = IntervalSums{sums.count("updates").value_or(0), sums.number("loss"),
                                     sums.number("grad_norm")};
    if (progress.interval->updates > progress.update) {
      fail(Code::kCorrupt, "field 'reprise/progress/interval/updates' is {}, of {} updates done",
           progress.interval->updates, progress.update);
    }
  }
  return progress;
}

void read_additions(Checkpoint& checkpoint, const DictNode& dict) {
  const Fields fields(dict, "reprise/");
  checkpoint.run = fields.uuid("run");
  read_parents(checkpoint, fields);
  if (const DictNode* progress = fields.dict("progress")) {
    checkpoint.progress = progress_from(*progress);
  }
  if (Json random = fields.json_object("random"); !random.is_null())
    checkpoint.random = std::move(random);
  checkpoint.scheduler = dict.get("scheduler");
  checkpoint.scaler = dict.get("scaler");
  checkpoint.ema = fields.state_dict("ema");
  checkpoint.fingerprint = fields.digest("fingerprint");
  if (const DictNode* ledger = fields.dict("ledger")) {
    const Fields l(*ledger, "reprise/ledger/");
    const auto update = l.count("update");
    const auto chain = l.digest("chain");
    if (!update || !chain) fail(Code::kCorrupt, "field 'reprise/ledger' lacks update or chain");
    checkpoint.ledger = LedgerPosition{*update, *chain};
  }
  checkpoint.config_text = fields.text("config_text");
  checkpoint.source = dict.get("source");
  checkpoint.unmapped = dict.get("unmapped");
  read_unknown(checkpoint, fields);
}

// Writes fields in a fixed order and leaves absent ones out.
class Writer {
 public:
  Writer(Arena& arena, DictNode& dict) : arena_(arena), dict_(dict) {}

  void value(std::string_view key, Value value) {
    if (!value.is_none()) dict_.append(arena_, key, value);
  }
  void text(std::string_view key, std::string_view text) { value(key, arena_.string(text)); }
  void count(std::string_view key, std::uint64_t number) {
    if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      fail(Code::kInternal, "'{}' = {} does not fit 63 bits", key, number);
    }
    value(key, Value::integer(static_cast<std::int64_t>(number)));
  }
  void json(std::string_view key, const Json& json) {
    if (!json.empty()) text(key, dump_json(json));
  }
  void state_dict(std::string_view key, const StateDict& tensors) {
    if (tensors.empty()) return;
    const Value dict = arena_.dict(DictClass::kOrderedDict);
    dict.as_dict().entries.reserve(arena_, tensors.size());
    for (const auto& [name, tensor] : tensors)
      dict.as_dict().append(arena_, name, arena_.tensor(tensor));
    value(key, dict);
  }

 private:
  Arena& arena_;
  DictNode& dict_;
};

Value additions_of(const Checkpoint& checkpoint, Arena& arena) {
  const Value dict = arena.dict();
  Writer writer(arena, dict.as_dict());
  if (checkpoint.run) writer.text("run", checkpoint.run->text());
  if (!checkpoint.parents.empty()) {
    const Value list = arena.list();
    for (const Parent& parent : checkpoint.parents) {
      const Value item = arena.dict();
      Writer fields(arena, item.as_dict());
      fields.text("uuid", parent.uuid.text());
      fields.text("relation", to_string(parent.relation));
      list.as_sequence().items.push_back(arena, item);
    }
    writer.value("parents", list);
  }
  if (checkpoint.progress) {
    const Value item = arena.dict();
    Writer fields(arena, item.as_dict());
    fields.count("update", checkpoint.progress->update);
    fields.count("epoch", checkpoint.progress->epoch);
    fields.count("samples_seen", checkpoint.progress->samples_seen);
    fields.count("batch_cursor", checkpoint.progress->batch_cursor);
    if (const auto iteration = checkpoint.progress->source_iteration)
      fields.count("source_iteration", *iteration);
    if (const auto& sums = checkpoint.progress->interval) {
      const Value interval = arena.dict();
      Writer inner(arena, interval.as_dict());
      inner.count("updates", sums->updates);
      inner.value("loss", Value::real(sums->loss));
      inner.value("grad_norm", Value::real(sums->grad_norm));
      fields.value("interval", interval);
    }
    writer.value("progress", item);
  }
  writer.json("random", checkpoint.random);
  writer.value("scheduler", checkpoint.scheduler);
  writer.value("scaler", checkpoint.scaler);
  writer.state_dict("ema", checkpoint.ema);
  if (checkpoint.fingerprint) writer.text("fingerprint", checkpoint.fingerprint->hex());
  if (checkpoint.ledger) {
    const Value item = arena.dict();
    Writer fields(arena, item.as_dict());
    fields.count("update", checkpoint.ledger->update);
    fields.text("chain", checkpoint.ledger->chain.hex());
    writer.value("ledger", item);
  }
  if (checkpoint.config_text) writer.text("config_text", *checkpoint.config_text);
  writer.value("source", checkpoint.source);
  writer.value("unmapped", checkpoint.unmapped);
  const Value unknown = arena.list();
  const auto mark = [&](bool known, std::string_view field) {
    if (!known) unknown.as_sequence().items.push_back(arena, arena.string(field));
  };
  mark(checkpoint.epoch_known, "epoch");
  mark(!checkpoint.config.is_null(), "config");
  mark(!checkpoint.metrics.is_null(), "metrics");
  if (!unknown.as_sequence().items.empty()) writer.value("unknown", unknown);
  return dict.as_dict().entries.empty() ? Value() : dict;
}

}  // namespace

std::string_view to_string(CheckpointType type) {
  return kTypes[static_cast<std::size_t>(type)].second;
}

std::optional<CheckpointType> checkpoint_type_from(std::string_view name) {
  for (const auto& [type, text] : kTypes) {
    if (text == name) return type;
  }
  return std::nullopt;
}

std::string_view to_string(Relation relation) {
  return kRelations[static_cast<std::size_t>(relation)].second;
}

std::optional<Relation> relation_from(std::string_view name) {
  for (const auto& [relation, text] : kRelations) {
    if (text == name) return relation;
  }
  return std::nullopt;
}

std::vector<std::pair<std::string_view, const StateDict*>> Checkpoint::state_dicts() const {
  switch (type) {
    case CheckpointType::kDino: return {{"student", &student}, {"teacher", &teacher}};
    case CheckpointType::kSupervised: return {{"backbone", &backbone}, {"head", &head}};
    case CheckpointType::kModel: return {{"model", &model}};
  }
  return {};
}

std::optional<TrainingProgress> Checkpoint::resume_point() const {
  if (optimizer.is_none()) return std::nullopt;
  if (progress) return progress;
  if (!epoch_known) return std::nullopt;
  TrainingProgress derived;
  derived.epoch = epoch;
  const Value state = optimizer.as_dict().get("state");
  for (const DictEntry& entry : state.as_dict().entries) {
    const Value step = entry.value.as_dict().get("step");
    std::int64_t count = step.if_int().value_or(0);
    // PyTorch 2 counts in a float32 tensor without dimensions.
    if (const TensorNode* node = step.if_tensor(); node != nullptr &&
                                                   node->tensor.dtype() == DType::kFloat32 &&
                                                   node->tensor.elements() == 1) {
      const float number = load_little<float>(node->tensor.to_bytes().data());
      if (number >= 0 && number < 1e9f) count = static_cast<std::int64_t>(number);
    }
    derived.update =
        std::max(derived.update, static_cast<std::uint64_t>(std::max<std::int64_t>(count, 0)));
  }
  return derived;
}

Checkpoint Checkpoint::from(const Document& document) {
  if (!document.root.is_dict())
    fail(Code::kCorrupt, "no checkpoint: the file holds {}", kind_name(document.root));
  const DictNode& root = document.root.as_dict();
  const Fields fields(root, "");

  const auto version = fields.count("version");
  if (!version) fail(Code::kCorrupt, "field 'version' is missing; migrate the file first");
  if (*version > kSchemaVersion) {
    fail(Code::kUnsupported,
         "schema version {} is newer than {}, the newest this build knows; use a newer Reprise",
         *version, kSchemaVersion);
  }
  if (*version < kSchemaVersion) {
    fail(Code::kUnsupported, "schema version {} must be upgraded first; run migrate", *version);
  }

  Checkpoint checkpoint;
  checkpoint.arena = document.arena;
  const auto type_name = fields.text("type");
  const auto type = checkpoint_type_from(type_name.value_or(""));
  if (!type) {
    fail(Code::kCorrupt, "field 'type' is '{}', dino, supervised or model was expected",
         printable(type_name.value_or(""), 80));
  }
  checkpoint.type = *type;
  checkpoint.epoch = fields.count("epoch").value_or(0);
  const auto uuid = fields.uuid("uuid");
  if (!uuid) fail(Code::kCorrupt, "field 'uuid' is missing");
  checkpoint.uuid = *uuid;
  checkpoint.arch = fields.text("arch").value_or("");
  checkpoint.arch_head = fields.text("arch_head");
  checkpoint.uuid_backbone = fields.uuid("uuid_backbone");
  checkpoint.student = fields.state_dict("student");
  checkpoint.teacher = fields.state_dict("teacher");
  checkpoint.backbone = fields.state_dict("backbone");
  checkpoint.head = fields.state_dict("head");
  checkpoint.model = fields.state_dict("model");
  checkpoint.config = fields.json_object("config");
  checkpoint.metrics = fields.json_object("metrics");
  read_optimizer(checkpoint, fields);
  checkpoint.loss_func = fields.state_dict("loss_func");
  if (const DictNode* additions = fields.dict("reprise")) read_additions(checkpoint, *additions);
  checkpoint.validate();
  return checkpoint;
}

Document Checkpoint::to_document() const {
  validate();
  Document document;
  // Values of this checkpoint are shared, so its arena has to outlive the document's.
  Arena& target = *document.arena;
  target.keep_alive(arena);
  document.root = target.dict();
  Writer writer(target, document.root.as_dict());
  writer.count("version", kSchemaVersion);
  writer.text("type", to_string(type));
  writer.count("epoch", epoch);
  writer.text("uuid", uuid.text());
  if (!arch.empty()) writer.text("arch", arch);
  if (arch_head) writer.text("arch_head", *arch_head);
  if (uuid_backbone) writer.text("uuid_backbone", uuid_backbone->text());
  for (const auto& [name, tensors] : state_dicts()) writer.state_dict(name, *tensors);
  // Readers of plain v5 expect an object even where nothing is known.
  writer.text("config", config.is_null() ? "{}" : dump_json(config));
  writer.text("metrics", metrics.is_null() ? "{}" : dump_json(metrics));
  writer.value("optimizer", optimizer);
  writer.state_dict("loss_func", loss_func);
  writer.value("reprise", additions_of(*this, target));
  return document;
}

void Checkpoint::validate() const {
  const auto need = [&](bool ok, std::string_view what) {
    if (!ok) fail(Code::kCorrupt, "a {} checkpoint {}", to_string(type), what);
  };
  need(!uuid.is_nil(), "needs a uuid");
  switch (type) {
    case CheckpointType::kDino:
      need(!student.empty() || !teacher.empty(), "needs a student or a teacher");
      need(backbone.empty() && head.empty() && model.empty(),
           "has no backbone, head or model of its own");
      break;
    case CheckpointType::kSupervised:
      need(!head.empty(), "needs a head");
      need(backbone.empty() || !uuid_backbone, "has a backbone or a uuid_backbone, not both");
      need(student.empty() && teacher.empty() && model.empty(), "has no student, teacher or model");
      break;
    case CheckpointType::kModel:
      need(!model.empty(), "needs a model");
      need(student.empty() && teacher.empty() && backbone.empty() && head.empty(),
           "has no student, teacher, backbone or head");
      break;
  }
}

}  // namespace reprise
