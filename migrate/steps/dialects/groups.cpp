// Weights in nested groups, as Keras writes them and h5py invites to: a state dict has one level.
#include "ckpt/base/error.h"
#include "migrate/steps/dialect.h"
#include "migrate/steps/draft.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace reprise::migrate {

namespace {

// HDF5 readers follow no deeper groups.
constexpr std::size_t kDeepest = 64;
// What names may take beyond what the file holds once: a long name of a group is in those of all
// weights below it, and what several groups hold has several names, each with an entry.
constexpr std::size_t kNamesBytes = 16u << 20;
constexpr std::size_t kEntryBytes = 200;

// Where the weights of a network are when a file holds more, Keras' name first.
constexpr std::array<std::string_view, 5> kWrappers = {"model_weights", "model", "state_dict",
                                                       "net", "weights"};
// What Keras keeps beside them.
constexpr std::array<std::string_view, 2> kOptimizers = {"optimizer_weights", "optimizer"};

// What lies below values, each looked at once.
class Inventory {
 public:
  bool holds_tensors(Value value) {
    if (value.is_tensor()) return true;
    const DictNode* dict = value.if_dict();
    if (dict == nullptr) return false;
    const auto [known, is_new] = holds_.emplace(value.identity(), false);
    if (!is_new) return known->second;
    for (const DictEntry& entry : dict->entries) {
      if (!holds_tensors(entry.value)) continue;
      holds_[value.identity()] = true;
      return true;
    }
    return false;
  }

  // Whether a group has groups with tensors in it.
  bool nests(const DictNode& group) {
    return std::ranges::any_of(group.entries, [&](const DictEntry& entry) {
      return entry.value.is_dict() && holds_tensors(entry.value);
    });
  }

 private:
  std::unordered_map<const void*, bool> holds_;
};

bool is_named(Value value, std::size_t depth, std::unordered_set<const void*>& seen) {
  const DictNode* dict = value.if_dict();
  if (dict == nullptr || !seen.insert(value.identity()).second) return true;
  return depth <= kDeepest && std::ranges::all_of(dict->entries, [&](const DictEntry& entry) {
           return entry.key.is_string() && is_named(entry.value, depth + 1, seen);
         });
}

bool is_optimizer(std::string_view key) {
  return std::ranges::find(kOptimizers, key) != kOptimizers.end();
}

// The one entry that holds all weights; nothing when they lie under several, or under a name
// that says nothing.
std::optional<std::string_view> wrapper_of(const DictNode& root, Inventory& inventory) {
  std::optional<std::string_view> found;
  for (const DictEntry& entry : root.entries) {
    const std::string_view key = entry.key.as_string();
    if (is_optimizer(key) || !inventory.holds_tensors(entry.value)) continue;
    const bool wraps =
        entry.value.is_dict() && std::ranges::find(kWrappers, key) != kWrappers.end();
    if (found || !wraps) return std::nullopt;
    found = key;
  }
  return found;
}

bool fits(const Value& root, bool has_companion) {
  std::unordered_set<const void*> seen;
  if (has_companion || !root.is_dict() || !is_named(root, 0, seen)) return false;
  Inventory inventory;
  if (const auto wrapper = wrapper_of(root.as_dict(), inventory))
    return inventory.nests(root.as_dict().get(*wrapper).as_dict());
  return std::ranges::any_of(root.as_dict().entries, [&](const DictEntry& entry) {
    return entry.value.is_dict() && !is_optimizer(entry.key.as_string()) &&
           inventory.holds_tensors(entry.value);
  });
}

// One level of all that lies in groups.
class Flattening {
 public:
  Flattening(Draft& draft, std::string_view separator) : draft_(draft), separator_(separator) {}

  Value of(const DictNode& group) {
    const Value flat = draft_.arena().dict(DictClass::kOrderedDict);
    add(group, flat.as_dict());
    return flat;
  }

  bool names_are_apart() const { return names_are_apart_; }

 private:
  void add(const DictNode& group, DictNode& flat) {
    for (const DictEntry& entry : group.entries) {
      path_.push_back(entry.key.as_string());
      const bool again = inside_again_ > 0;
      if (again) charge(kEntryBytes);
      if (const DictNode* inner = entry.value.if_dict()) {
        const bool first = visited_.insert(inner).second;
        inside_again_ += first ? 0u : 1u;
        add(*inner, flat);
        inside_again_ -= first ? 0u : 1u;
      } else {
        const std::string name = fmt::format("{}", fmt::join(path_, separator_));
        charge(again ? name.size() : name.size() - path_.back().size());
        names_are_apart_ = names_.insert(name).second && names_are_apart_;
        flat.append(draft_.arena(), name, entry.value);
      }
      path_.pop_back();
    }
  }

  void charge(std::size_t bytes) {
    if (path_.size() > kDeepest || bytes > left_bytes_)
      fail(Code::kUnsupported, "groups lie in one another: their weights have names without end");
    left_bytes_ -= bytes;
  }

  Draft& draft_;
  std::string_view separator_;
  std::size_t left_bytes_ = kNamesBytes;
  std::vector<std::string_view> path_;
  std::unordered_set<std::string> names_;
  std::unordered_set<const DictNode*> visited_;
  unsigned inside_again_ = 0;  // groups around this one that were here before
  bool names_are_apart_ = true;
};

StepResult adapt(const Document& document, const UpgradeOptions&) {
  Draft draft(document, "model");
  const DictNode& root = document.root.as_dict();
  Inventory inventory;
  const auto wrapper = wrapper_of(root, inventory);
  const Value weights = wrapper ? root.get(*wrapper) : draft.arena().dict();
  for (const DictEntry& entry : root.entries) {
    const std::string_view key = entry.key.as_string();
    if (wrapper == key) continue;
    if (wrapper || is_optimizer(key)) {
      draft.keep_unmapped(key, entry.value);
    } else {
      weights.as_dict().append(draft.arena(), entry.key, entry.value);
    }
  }
  // Names of groups may have dots of their own; slashes they never have.
  Flattening dotted(draft, ".");
  Value flat = dotted.of(weights.as_dict());
  if (!dotted.names_are_apart()) flat = Flattening(draft, "/").of(weights.as_dict());
  draft.note(fmt::format("model: {} values taken out of their groups, names joined by '{}'",
                         flat.as_dict().entries.size(), dotted.names_are_apart() ? '.' : '/'));
  draft.set("model", flat);
  return {draft.finish(), std::move(draft.changed())};
}

}  // namespace

constinit const Dialect kGroups = {"groups", fits, adapt};

}  // namespace reprise::migrate
