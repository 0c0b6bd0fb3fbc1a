#include "migrate/steps/settle_state.h"

#include "ckpt/base/error.h"
#include "ckpt/state/checkpoint.h"
#include "ckpt/state/plain_json.h"
#include "migrate/steps/object_state.h"
#include "migrate/steps/plain_value.h"

#include <algorithm>
#include <unordered_set>

namespace reprise::migrate {

namespace {

constexpr std::string_view kDdpPrefix = "module.";

// Attributes that every torch.nn.Module carries and that say nothing of its values.
bool is_module_machinery(std::string_view name) {
  return name == "training" || (name.starts_with('_') && name != "_extra_state");
}

// What an object's state holds beside its tensors.
Value other_attributes(Arena& arena, const OpaqueNode& object) {
  const Value kept = arena.dict();
  kept.as_dict().append(arena, "class", arena.string(object.name));
  const Value attributes = arena.dict();
  if (const DictNode* state = object.state.if_dict()) {
    for (const DictEntry& entry : state->entries) {
      if (entry.key.is_string() && !is_module_machinery(entry.key.as_string())) {
        attributes.as_dict().append(arena, entry.key, entry.value);
      }
    }
  }
  if (!attributes.as_dict().entries.empty()) kept.as_dict().append(arena, "attributes", attributes);
  return kept;
}

bool is_dense(const TensorNode& node) {
  return node.layout == TensorLayout::kStrided && !node.quantizer;
}

// Whether taking the prefix off every name leaves them all different.
bool prefix_can_go(const DictNode& dict) {
  std::unordered_set<std::string_view> names;
  bool any = false;
  for (const DictEntry& entry : dict.entries) {
    if (!entry.key.is_string()) continue;  // goes to unmapped
    std::string_view name = entry.key.as_string();
    if (name.starts_with(kDdpPrefix)) {
      name.remove_prefix(kDdpPrefix.size());
      any = true;
    }
    if (!names.insert(name).second) return false;
  }
  return any;
}

bool is_normal_state_dict(const DictNode& dict) {
  return dict.attributes.is_none() && std::ranges::all_of(dict.entries, [](const DictEntry& entry) {
           const TensorNode* node = entry.value.if_tensor();
           return entry.key.is_string() && node != nullptr && is_dense(*node) &&
                  !entry.key.as_string().starts_with(kDdpPrefix);
         });
}

// A model of which nothing is left says why. `dict` is not empty.
[[noreturn]] void fail_without_weights(std::string_view key, const DictNode& dict) {
  const auto is_other = [](const DictEntry& entry) { return entry.value.if_tensor() != nullptr; };
  const auto first = std::ranges::find_if(dict.entries, is_other);
  if (first == dict.entries.end()) {
    fail(Code::kUnsupported, "{} holds no tensor; `ckpt tree` shows what is in it", key);
  }
  const TensorNode& node = *first->value.if_tensor();
  const std::string_view kind = node.quantizer ? "quantized"
                                : node.layout == TensorLayout::kMeta
                                    ? "on the meta device, without values"
                                    : "sparse";
  fail(Code::kUnsupported,
       "{} holds no dense tensor: {} of its {} values are tensors, and '{}' is {}; weights are "
       "dense "
       "(to_dense() or dequantize() where the file was written); `ckpt tree` shows what is in it",
       key, std::ranges::count_if(dict.entries, is_other), dict.entries.size(),
       first->key.is_string() ? printable(first->key.as_string(), 60) : "a key", kind);
}

void settle_json_field(Draft& draft, std::string_view key) {
  const Value value = draft.get(key);
  if (value.is_none()) {
    draft.mark_unknown(key);
    return;
  }
  if (value.is_string()) return;
  const PlainValue plain = plain_value(draft.arena(), value);
  const Json json = to_plain_json(plain.value);
  if (!json.is_object()) {
    // Text in another language, or a bare list: kept, but it is no JSON object.
    draft.keep_unmapped(key, draft.take(key));
    settle_json_field(draft, key);
    return;
  }
  draft.set(key, dump_json(json));
  draft.note(fmt::format("{}: stored as JSON", key));
}

}  // namespace

void settle_optimizer(Draft& draft) {
  Value optimizer = draft.get("optimizer");
  if (optimizer.is_none()) return;
  Arena& arena = draft.arena();
  if (is_optimizer_object(optimizer)) {
    const OpaqueNode& object = optimizer.as_opaque();
    optimizer = optimizer_state_dict(arena, object);
    const Value kept = arena.dict();
    kept.as_dict().append(arena, "class", arena.string(object.name));
    kept.as_dict().append(arena, "defaults", object.state.as_dict().get("defaults"));
    draft.keep_detail("optimizer", kept);
    draft.note(
        fmt::format("optimizer: pickled {} turned into its state dict", printable(object.name)));
  }
  const DictNode* dict = optimizer.if_dict();
  if (dict == nullptr || !dict->get("state").is_dict() ||
      dict->get("param_groups").kind() != Kind::kList) {
    draft.keep_unmapped("optimizer", draft.take("optimizer"));
    draft.note(
        "optimizer: neither a PyTorch optimizer nor its state dict; training cannot be resumed "
        "from here");
    return;
  }
  const PlainValue plain = plain_value(arena, optimizer);
  if (plain.changed > 0)
    draft.note(fmt::format("optimizer: {} numpy scalars made plain", plain.changed));
  draft.set("optimizer", plain.value);
}

void settle_loss(Draft& draft) {
  const Value loss = draft.get("loss_func");
  if (loss.is_none()) {
    draft.take("loss_func");
    return;
  }
  if (is_module_object(loss)) {
    const OpaqueNode& object = loss.as_opaque();
    draft.keep_detail("loss_func", other_attributes(draft.arena(), object));
    draft.set("loss_func", module_state_dict(draft.arena(), object).state_dict);
    draft.note(
        fmt::format("loss_func: pickled {} turned into its state dict", printable(object.name)));
  }
  settle_state_dict(draft, "loss_func");
  if (const DictNode* dict = draft.get("loss_func").if_dict();
      dict != nullptr && dict->entries.empty()) {
    draft.take("loss_func");
  }
}

void settle_state_dict(Draft& draft, std::string_view key) {
  Value value = draft.get(key);
  if (value.is_none()) {
    draft.take(key);
    return;
  }
  Arena& arena = draft.arena();
  if (is_module_object(value)) {
    const ModuleState state = module_state_dict(arena, value.as_opaque());
    draft.note(fmt::format("{}: pickled module {} ({} modules) turned into its state dict", key,
                           printable(value.as_opaque().name), state.modules.size()));
    const Value modules = arena.list();
    for (const std::string& module : state.modules)
      modules.as_sequence().items.push_back(arena, arena.string(module));
    draft.keep_detail(fmt::format("{}.modules", key), modules);
    value = state.state_dict;
    draft.set(key, value);
  }
  const DictNode* dict = value.if_dict();
  if (dict == nullptr) {
    draft.keep_unmapped(key, draft.take(key));
    return;
  }
  if (is_normal_state_dict(*dict)) return;

  const bool strip = prefix_can_go(*dict);
  std::size_t stripped = 0;
  PlainJson names;
  const Value made = arena.dict(DictClass::kOrderedDict);
  made.as_dict().entries.reserve(arena, dict->entries.size());
  for (const DictEntry& entry : dict->entries) {
    const TensorNode* node = entry.value.if_tensor();
    if (!entry.key.is_string() || node == nullptr || !is_dense(*node)) {
      draft.keep_unmapped(fmt::format("{}/{}", key, names.text_of(entry.key)), entry.value);
      continue;
    }
    const std::string_view name = entry.key.as_string();
    if (strip && name.starts_with(kDdpPrefix)) {
      made.as_dict().append(arena, name.substr(kDdpPrefix.size()), entry.value);
      ++stripped;
    } else {
      made.as_dict().append(arena, entry.key, entry.value);
    }
  }
  if (made.as_dict().entries.empty() && key == "model") fail_without_weights(key, *dict);
  if (stripped > 0) draft.note(fmt::format("{}: \"module.\" removed from {} names", key, stripped));
  if (const DictNode* attributes = dict->attributes.if_dict()) {
    draft.keep_detail(fmt::format("{}.attributes", key), copy_dict(arena, *attributes));
  }
  draft.set(key, made);
}

void settle_json(Draft& draft) {
  settle_json_field(draft, "config");
  settle_json_field(draft, "metrics");
}

}  // namespace reprise::migrate
