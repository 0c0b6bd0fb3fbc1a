#include "migrate/steps/draft.h"

#include "ckpt/base/error.h"
#include "ckpt/state/checkpoint.h"
#include "ckpt/state/plain_json.h"

#include <algorithm>

namespace reprise::migrate {

namespace {

// Unmapped values that get a line of their own.
constexpr std::size_t kMostNotes = 100;

Document new_document(const Document& original) {
  Document document;
  // Values of the original stay in its arena, which has to outlive ours.
  document.arena->keep_alive(original.arena);
  document.path = original.path;
  document.container = original.container;
  return document;
}

}  // namespace

Value copy_dict(Arena& arena, const DictNode& dict) {
  const Value copy = arena.dict(dict.dict_class);
  DictNode& node = copy.as_dict();
  node.factory = dict.factory;
  node.attributes = dict.attributes;
  node.entries.reserve(arena, dict.entries.size());
  for (const DictEntry& entry : dict.entries) node.entries.push_back(arena, entry);
  return copy;
}

bool looks_like_state_dict(Value value) {
  const DictNode* dict = value.if_dict();
  if (dict == nullptr) return false;
  const bool text_keys =
      std::ranges::all_of(dict->entries, [](const DictEntry& e) { return e.key.is_string(); });
  return text_keys &&
         std::ranges::any_of(dict->entries, [](const DictEntry& e) { return e.value.is_tensor(); });
}

Draft::Draft(const Document& original) : document_(new_document(original)) {
  document_.root = copy_dict(arena(), original.root.as_dict());
  if (root().get("reprise").is_dict()) additions();
}

Draft::Draft(const Document& original, std::string_view type) : document_(new_document(original)) {
  document_.root = arena().dict();
  set_version(kSchemaVersion);
  set("type", type);
}

Value Draft::take(std::string_view key) {
  const Value value = get(key);
  root().erase(key);
  return value;
}

void Draft::set_version(int version) { set("version", Value::integer(version)); }

DictNode& Draft::owned_dict(DictNode& parent, std::string_view key) {
  const Value found = parent.get(key);
  if (found.is_dict() && owned_.contains(&found.as_dict())) return found.as_dict();
  // A dict that an earlier document still shows is copied before it grows.
  const Value copy = found.is_dict() ? copy_dict(arena(), found.as_dict()) : arena().dict();
  parent.set(arena(), key, copy);
  owned_.insert(&copy.as_dict());
  return copy.as_dict();
}

DictNode& Draft::additions() { return owned_dict(root(), "reprise"); }

void Draft::keep_detail(std::string_view name, Value value) {
  if (value.is_none()) return;
  owned_dict(owned_dict(additions(), "source"), "details").set(arena(), name, value);
}

void Draft::set_source(std::string_view name, Value value) {
  owned_dict(additions(), "source").set(arena(), name, value);
}

void Draft::mark_unknown(std::string_view field) {
  DictNode& additions = this->additions();
  const Value unknown = arena().list();
  if (const Value before = additions.get("unknown"); before.is_sequence()) {
    for (const Value& item : before.as_sequence().items) {
      if (item.if_string() == field) return;
      unknown.as_sequence().items.push_back(arena(), item);
    }
  }
  unknown.as_sequence().items.push_back(arena(), arena().string(field));
  additions.set(arena(), "unknown", unknown);
}

Value progress_of(Arena& arena, Value update, Value completed_epochs) {
  if (!update.if_int() || *update.if_int() < 0) return {};
  const Value progress = arena.dict();
  progress.as_dict().append(arena, "update", update);
  progress.as_dict().append(arena, "epoch",
                            completed_epochs.if_int() ? completed_epochs : Value::integer(0));
  return progress;
}

void Draft::keep_unmapped(std::string_view name, Value value) {
  DictNode& unmapped = owned_dict(additions(), "unmapped");
  const std::string free_name = this->free_name(unmapped, name);
  unmapped.append(arena(), free_name, value);
  if (++unmapped_ > kMostNotes) return;
  note(fmt::format("unmapped: '{}' is not known here; kept as reprise/unmapped/{}", printable(name),
                   printable(free_name)));
}

Document Draft::finish() {
  if (unmapped_ > kMostNotes)
    note(fmt::format("unmapped: {} more, which the report lists", unmapped_ - kMostNotes));
  return std::move(document_);
}

// Two places may lose a value of the same name; neither may be dropped.
std::string Draft::free_name(const DictNode& unmapped, std::string_view name) {
  if (!unmapped_names_) {
    unmapped_names_.emplace();
    for (const DictEntry& entry : unmapped.entries) {
      if (const auto key = entry.key.if_string()) unmapped_names_->emplace(*key, 2);
    }
  }
  const auto [known, is_free] = unmapped_names_->emplace(name, 2);
  if (is_free) return known->first;
  for (int& n = known->second;;) {
    std::string next = fmt::format("{}#{}", name, n++);
    if (unmapped_names_->emplace(next, 2).second) return next;
  }
}

void Draft::keep_unknown_keys(std::vector<std::string_view> known) {
  std::vector<DictEntry> unknown;
  auto& entries = root().entries;
  std::size_t kept = 0;
  for (const DictEntry& entry : entries) {
    const auto key = entry.key.if_string();
    if (key && std::ranges::find(known, *key) != known.end()) {
      entries[kept++] = entry;
    } else {
      unknown.push_back(entry);
    }
  }
  entries.truncate(kept);
  PlainJson names;
  for (const DictEntry& entry : unknown) keep_unmapped(names.text_of(entry.key), entry.value);
}

}  // namespace reprise::migrate
