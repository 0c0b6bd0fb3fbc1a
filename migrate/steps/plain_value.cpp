#include "migrate/steps/plain_value.h"

#include "ckpt/state/numpy_number.h"

#include <unordered_map>

namespace reprise::migrate {

namespace {

// Configurations are a few levels deep; what lies deeper is left alone, which also
// bounds the recursion below.
constexpr int kDepthLimit = 100;

bool is_scalar(Value value) {
  return value.kind() == Kind::kString || value.kind() == Kind::kInt ||
         value.kind() == Kind::kFloat || value.kind() == Kind::kBool;
}

class Plainer {
 public:
  explicit Plainer(Arena& arena) : arena_(arena) {}

  Value convert(Value value, int depth) {
    if (depth > kDepthLimit) return value;
    switch (value.kind()) {
      case Kind::kDict: return shared(value, [&](Value v) { return dict(v.as_dict(), v, depth); });
      case Kind::kList:
      case Kind::kTuple:
      case Kind::kSet:
      case Kind::kFrozenSet: return shared(value, [&](Value v) { return sequence(v, depth); });
      case Kind::kOpaque: return opaque(value, depth);
      case Kind::kRecord:
        if (const Value number = numpy_number(value.as_record()); !number.is_none()) {
          ++changed_;
          return number;
        }
        return value;
      default: return value;
    }
  }

  std::size_t changed() const { return changed_; }

 private:
  // One result per node, found again when the node occurs again or inside itself.
  template <typename Make>
  Value shared(Value value, Make make) {
    if (const auto found = done_.find(value.identity()); found != done_.end()) return found->second;
    return make(value);
  }

  Value dict(const DictNode& node, Value original, int depth) {
    const Value made = arena_.dict();
    done_[original.identity()] = made;
    if (node.dict_class != DictClass::kDict) ++changed_;
    for (const DictEntry& entry : node.entries) {
      // Keys of equal value after conversion (an enum beside its text) are kept apart by order.
      made.as_dict().append(arena_, convert(entry.key, depth + 1), convert(entry.value, depth + 1));
    }
    return made;
  }

  Value sequence(Value original, int depth) {
    const Value made = arena_.sequence(original.kind());
    done_[original.identity()] = made;
    for (const Value& item : original.as_sequence().items) {
      made.as_sequence().items.push_back(arena_, convert(item, depth + 1));
    }
    return made;
  }

  Value opaque(Value value, int depth) {
    if (const Value plain = enum_value(arena_, value); !plain.is_none()) {
      ++changed_;
      return plain;
    }
    const OpaqueNode& node = value.as_opaque();
    // Subclasses of dict and list (AttributeDict, EasyDict, CfgNode) are what they hold.
    const bool no_arguments = node.args.is_none() || node.args.as_sequence().items.empty();
    const bool bare = no_arguments && node.kwargs.is_none();
    if (bare && !node.entries.empty() && node.items.empty()) {
      return shared(value, [&](Value original) {
        const Value made = arena_.dict();
        done_[original.identity()] = made;
        ++changed_;
        for (const DictEntry& entry : node.entries) {
          made.as_dict().append(arena_, convert(entry.key, depth + 1),
                                convert(entry.value, depth + 1));
        }
        return made;
      });
    }
    if (bare && !node.items.empty() && node.entries.empty()) {
      return shared(value, [&](Value original) {
        const Value made = arena_.list();
        done_[original.identity()] = made;
        ++changed_;
        for (const Value& item : node.items)
          made.as_sequence().items.push_back(arena_, convert(item, depth + 1));
        return made;
      });
    }
    return value;
  }

  Arena& arena_;
  std::unordered_map<const void*, Value> done_;
  std::size_t changed_ = 0;
};

}  // namespace

Value enum_value(Arena&, Value value) {
  const OpaqueNode* node = value.if_opaque();
  if (node == nullptr || node->has_state || !node->kwargs.is_none() || !node->items.empty() ||
      !node->entries.empty() || !node->args.is_sequence()) {
    return {};
  }
  const auto& args = node->args.as_sequence().items;
  // Member(value), as enum.Enum.__reduce_ex__ wrote until Python 3.11.
  if (args.size() == 1 && is_scalar(args[0])) return args[0];
  // getattr(Class, name), as later versions and re-exported members do.
  if (node->name == "builtins.getattr" && args.size() == 2 && args[0].kind() == Kind::kGlobal &&
      args[1].is_string()) {
    return args[1];
  }
  return {};
}

PlainValue plain_value(Arena& arena, Value value) {
  Plainer plainer(arena);
  const Value plain = plainer.convert(value, 0);
  return {plain, plainer.changed()};
}

}  // namespace reprise::migrate
