// A state dict by itself, or under one of the names that people give it, with or
// without the usual companions (epoch, arch, optimizer, scheduler, scaler).
#include "migrate/steps/dialect.h"
#include "migrate/steps/draft.h"
#include "migrate/steps/object_state.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

namespace reprise::migrate {

namespace {

constexpr std::array<std::string_view, 4> kWrappers = {"model", "state_dict", "net", "weights"};

bool holds_weights(Value value) { return looks_like_state_dict(value) || is_module_object(value); }

// The one wrapper that holds weights; nothing when there is none or several.
std::optional<std::string_view> wrapper_of(const DictNode& root) {
  std::optional<std::string_view> found;
  for (const std::string_view name : kWrappers) {
    if (!holds_weights(root.get(name))) continue;
    if (found) return std::nullopt;
    found = name;
  }
  return found;
}

bool fits(const Value& root, bool has_companion) {
  if (has_companion || !root.is_dict()) return false;
  return wrapper_of(root.as_dict()).has_value() || looks_like_state_dict(root);
}

void take_first(Draft& draft, Intake& intake, std::string_view field,
                std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    const Value value = intake.take(name);
    if (value.is_none()) continue;
    if (draft.additions().contains(field)) {
      draft.keep_unmapped(name, value);
    } else {
      draft.additions().set(draft.arena(), field, value);
    }
  }
}

StepResult adapt(const Document& document, const UpgradeOptions&) {
  Draft draft(document, "model");
  const auto wrapper = wrapper_of(document.root.as_dict());
  if (!wrapper) {
    draft.set("model", document.root);
    return {draft.finish(), std::move(draft.changed())};
  }
  Intake intake(draft.arena(), document.root.as_dict());
  draft.set("model", intake.take(*wrapper));
  for (const std::string_view key : {"epoch", "arch", "optimizer"})
    draft.set(key, intake.take(key));
  take_first(draft, intake, "scheduler", {"scheduler", "lr_scheduler"});
  take_first(draft, intake, "scaler", {"scaler", "grad_scaler"});
  // A second thing called `model` beside the wrapper that was chosen is not ours to place.
  std::vector<std::string_view> placed = {"reprise"};
  for (const DictEntry& entry : draft.root().entries) placed.push_back(entry.key.as_string());
  for (const DictEntry& entry : intake.rest()) {
    if (const auto key = entry.key.if_string();
        key && std::ranges::find(placed, *key) != placed.end()) {
      draft.keep_unmapped(*key, entry.value);
    } else {
      draft.root().append(draft.arena(), entry.key, entry.value);
    }
  }
  return {draft.finish(), std::move(draft.changed())};
}

}  // namespace

constinit const Dialect kPlain = {"plain", fits, adapt};

}  // namespace reprise::migrate
