#include "ckpt/container/torchscript.h"

#include "ckpt/base/error.h"

#include <algorithm>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace reprise::container {

namespace {

// No module tree of PyTorch comes near; without it, a chain of objects costs its depth squared.
constexpr std::size_t kLongestName = 4096;

const DictNode* attributes_of(Value value) {
  const OpaqueNode* object = value.if_opaque();
  if (object == nullptr || !object->name.starts_with("__torch__.")) return nullptr;
  return object->state.if_dict();
}

}  // namespace

Value script_state(Arena& arena, Value root) {
  if (attributes_of(root) == nullptr) {
    fail(Code::kUnsupported,
         "a TorchScript archive whose root is no script object; export it again with "
         "torch.jit.save");
  }
  const Value state = arena.dict(DictClass::kOrderedDict);
  DictNode& dict = state.as_dict();
  const Value attributes = arena.dict();
  attributes.as_dict().append(arena, "torchscript", root);
  dict.attributes = attributes;

  std::vector<std::pair<std::string, Value>> open = {{"", root}};
  std::unordered_set<const void*> seen = {root.identity()};
  while (!open.empty()) {
    const auto [prefix, object] = std::move(open.back());
    open.pop_back();
    std::vector<std::pair<std::string, Value>> children;
    for (const DictEntry& entry : attributes_of(object)->entries) {
      if (!entry.key.is_string()) continue;
      const std::string name = prefix + std::string(entry.key.as_string());
      if (name.size() > kLongestName)
        fail(Code::kUnsupported, "a tensor name of over {} bytes", kLongestName);
      if (entry.value.is_tensor()) {
        dict.append(arena, name, entry.value);
      } else if (attributes_of(entry.value) != nullptr &&
                 seen.insert(entry.value.identity()).second) {
        children.emplace_back(name + ".", entry.value);
      }
    }
    // Deepest first, in order: the children of this object before its later siblings.
    std::ranges::reverse(children);
    std::ranges::move(children, std::back_inserter(open));
  }
  return state;
}

}  // namespace reprise::container
