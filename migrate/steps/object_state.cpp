#include "migrate/steps/object_state.h"

#include "ckpt/base/error.h"

#include <unordered_map>

namespace reprise::migrate {

namespace {

constexpr int kModuleDepthLimit = 200;
// Modules may be shared, and a hostile file could share them exponentially often.
constexpr std::size_t kModuleLimit = 1'000'000;
constexpr std::size_t kNameBytesLimit = 64u << 20;  // of all modules and tensors together

const DictNode* state_of(Value value) {
  const OpaqueNode* node = value.if_opaque();
  return node != nullptr && node->has_state ? node->state.if_dict() : nullptr;
}

// The parameters of a group. PyTorch keeps a list; a single tensor is accepted as it does.
std::vector<Value> parameters_of(const DictNode& group) {
  const Value params = group.get("params");
  if (params.is_tensor()) return {params};
  if (!params.is_sequence())
    fail(Code::kCorrupt, "optimizer: a group of param_groups has no list 'params'");
  const auto items = params.as_sequence().items.span();
  return {items.begin(), items.end()};
}

class ModuleWalk {
 public:
  ModuleWalk(Arena& arena, ModuleState& result) : arena_(arena), result_(result) {}

  void visit(const OpaqueNode& module, const std::string& prefix, int depth) {
    if (depth > kModuleDepthLimit) {
      fail(Code::kCorrupt, "module '{}': nested more than {} levels deep, or inside itself",
           printable(prefix), kModuleDepthLimit);
    }
    spend(prefix);
    if (++visited_ > kModuleLimit)
      fail(Code::kCorrupt, "a module tree of more than {} modules", kModuleLimit);
    result_.modules.push_back(
        fmt::format("{}: {}", prefix.empty() ? "(root)" : prefix.substr(0, prefix.size() - 1),
                    printable(module.name)));
    const DictNode& state = *module.state.if_dict();
    add_tensors(state.get("_parameters"), prefix, nullptr);
    const Value transient = state.get("_non_persistent_buffers_set");
    add_tensors(state.get("_buffers"), prefix,
                transient.is_sequence() ? &transient.as_sequence() : nullptr);
    const DictNode* children = state.get("_modules").if_dict();
    if (children == nullptr) return;
    for (const DictEntry& child : children->entries) {
      if (!child.key.is_string() || child.value.is_none()) continue;
      if (!is_module_object(child.value)) {
        fail(Code::kCorrupt, "module '{}{}': its child is no module", printable(prefix),
             printable(child.key.as_string()));
      }
      visit(child.value.as_opaque(), prefix + std::string(child.key.as_string()) + ".", depth + 1);
    }
  }

 private:
  void add_tensors(Value dict, const std::string& prefix, const SequenceNode* except) {
    const DictNode* node = dict.if_dict();
    if (node == nullptr) return;
    for (const DictEntry& entry : node->entries) {
      if (!entry.key.is_string() || !entry.value.is_tensor()) continue;  // None: not set
      bool skip = false;
      if (except != nullptr) {
        for (const Value& name : except->items) skip = skip || same_key(name, entry.key);
      }
      if (skip) continue;
      const std::string name = prefix + std::string(entry.key.as_string());
      spend(name);
      result_.state_dict.as_dict().append(arena_, name, entry.value);
    }
  }

  void spend(std::string_view name) {
    name_bytes_ += name.size();
    if (name_bytes_ > kNameBytesLimit)
      fail(Code::kCorrupt, "names of modules and tensors of more than {} bytes", kNameBytesLimit);
  }

  Arena& arena_;
  ModuleState& result_;
  std::size_t visited_ = 0;
  std::size_t name_bytes_ = 0;
};

}  // namespace

bool is_optimizer_object(Value value) {
  const DictNode* state = state_of(value);
  return state != nullptr && state->get("state").is_dict() &&
         state->get("param_groups").kind() == Kind::kList;
}

Value optimizer_state_dict(Arena& arena, const OpaqueNode& optimizer) {
  const DictNode& object = *optimizer.state.if_dict();
  std::unordered_map<const void*, std::int64_t> numbers;

  const Value groups = arena.list();
  for (const Value& item : object.get("param_groups").as_sequence().items) {
    const DictNode* group = item.if_dict();
    if (group == nullptr) fail(Code::kCorrupt, "optimizer: an item of param_groups is no dict");
    const Value packed = arena.dict();
    for (const DictEntry& entry : group->entries) {
      if (entry.key.if_string() != "params") packed.as_dict().append(arena, entry.key, entry.value);
    }
    const Value indices = arena.list();
    for (const Value& parameter : parameters_of(*group)) {
      const auto next = static_cast<std::int64_t>(numbers.size());
      const auto number = numbers.emplace(parameter.identity(), next).first->second;
      indices.as_sequence().items.push_back(arena, Value::integer(number));
    }
    packed.as_dict().append(arena, "params", indices);
    groups.as_sequence().items.push_back(arena, packed);
  }

  const Value state = arena.dict();
  for (const DictEntry& entry : object.get("state").as_dict().entries) {
    Value key = entry.key;
    if (key.is_tensor()) {
      const auto number = numbers.find(key.identity());
      if (number == numbers.end()) {
        fail(Code::kCorrupt,
             "optimizer: 'state' is keyed by a parameter that is in no group of param_groups");
      }
      key = Value::integer(number->second);
    }
    state.as_dict().append(arena, key, entry.value);
  }

  const Value packed = arena.dict();
  packed.as_dict().append(arena, "state", state);
  packed.as_dict().append(arena, "param_groups", groups);
  return packed;
}

bool is_module_object(Value value) {
  const DictNode* state = state_of(value);
  return state != nullptr && state->get("_parameters").is_dict() &&
         state->get("_modules").is_dict();
}

ModuleState module_state_dict(Arena& arena, const OpaqueNode& module) {
  ModuleState result;
  result.state_dict = arena.dict(DictClass::kOrderedDict);
  ModuleWalk(arena, result).visit(module, "", 0);
  return result;
}

}  // namespace reprise::migrate
