#include "migrate/steps/draft.h"

#include "ckpt/base/error.h"
#include "ckpt/state/checkpoint.h"

#include <algorithm>

namespace reprise::migrate {

namespace {

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
  // A dict that an earlier document still shows is copied before it grows.
  const Value copy = found.is_dict() ? copy_dict(arena(), found.as_dict()) : arena().dict();
  parent.set(arena(), key, copy);
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
  // Two places may lose a value of the same name; neither may be dropped.
  std::string free_name(name);
  for (int n = 2; unmapped.contains(free_name); ++n) free_name = fmt::format("{}#{}", name, n);
  unmapped.append(arena(), free_name, value);
  note(fmt::format("unmapped: '{}' is not known here; kept as reprise/unmapped/{}", printable(name),
                   printable(free_name)));
}

void Draft::keep_unknown_keys(std::vector<std::string_view> known) {
  std::vector<DictEntry> unknown;
  for (const DictEntry& entry : root().entries) {
    const auto key = entry.key.if_string();
    if (!key || std::ranges::find(known, *key) == known.end()) unknown.push_back(entry);
  }
  for (const DictEntry& entry : unknown) {
    if (const auto key = entry.key.if_string()) {
      keep_unmapped(*key, take(*key));
    } else {
      auto& entries = root().entries;
      for (std::size_t i = 0; i < entries.size(); ++i) {
        if (same_key(entries[i].key, entry.key)) {
          entries.erase(i);
          break;
        }
      }
      const Json key_text = to_plain_json(entry.key);
      keep_unmapped(key_text.is_string() ? key_text.get<std::string>() : dump_json(key_text),
                    entry.value);
    }
  }
}

}  // namespace reprise::migrate
