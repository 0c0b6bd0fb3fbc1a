// A document while it is being upgraded: a copy of the top level, and the places
// where things go that have no field.
#pragma once

#include "ckpt/state/value.h"

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace reprise::migrate {

// Owns a new root dict; everything below is shared with the original until it is
// replaced. Removing and adding keys never touches the original.
class Draft {
 public:
  // A copy of the original's top level and of its `reprise` dict.
  explicit Draft(const Document& original);
  // A version-5 document of the given type, otherwise empty, sharing the original's memory.
  Draft(const Document& original, std::string_view type);

  Arena& arena() { return *document_.arena; }
  DictNode& root() { return document_.root.as_dict(); }
  const DictNode& root() const { return document_.root.as_dict(); }

  // root()[key], none when absent.
  Value get(std::string_view key) const { return root().get(key); }
  // Takes a key off; returns what was there.
  Value take(std::string_view key);
  void set(std::string_view key, Value value) { root().set(arena(), key, value); }
  void set(std::string_view key, std::string_view text) { set(key, arena().string(text)); }
  void set_version(int version);

  // The dict under `reprise`, made when it is missing, copied when it is shared.
  DictNode& additions();
  // Keeps a value that was understood but has no field: reprise/source/details/<name>.
  void keep_detail(std::string_view name, Value value);
  // Keeps a value that was not understood: reprise/unmapped/<name>. Constant time: a file may
  // have a hundred thousand of them.
  void keep_unmapped(std::string_view name, Value value);
  // Moves every top-level key that is not in `known` to unmapped.
  void keep_unknown_keys(std::vector<std::string_view> known);
  // Lists a field under reprise/unknown: version 5 always has it, this file did not.
  void mark_unknown(std::string_view field);
  // reprise/source/<name>.
  void set_source(std::string_view name, Value value);

  void note(std::string text) { changed_.push_back(std::move(text)); }
  std::vector<std::string>& changed() { return changed_; }
  Document finish();

 private:
  DictNode& owned_dict(DictNode& parent, std::string_view key);

  std::string free_name(const DictNode& unmapped, std::string_view name);

  Document document_;
  std::unordered_set<const DictNode*> owned_;
  std::size_t unmapped_ = 0;  // by this draft
  // Of reprise/unmapped, with the number to try next where another value wants the same.
  std::optional<std::unordered_map<std::string, int>> unmapped_names_;
  std::vector<std::string> changed_;
};

// A dict of counts for reprise/progress: a foreign trainer's `update`, and our epoch.
Value progress_of(Arena& arena, Value update, Value completed_epochs);

// A copy of one level of a dict.
Value copy_dict(Arena& arena, const DictNode& dict);

// Whether a value is a dict with text keys that holds at least one tensor directly.
bool looks_like_state_dict(Value value);

}  // namespace reprise::migrate
