#include "migrate/steps/hdf5_attributes.h"

#include "ckpt/base/error.h"
#include "ckpt/state/plain_json.h"
#include "migrate/steps/draft.h"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <unordered_map>

namespace reprise::migrate {

namespace {

constexpr std::string_view kContainer = "hdf5-foreign";
// Attributes that could not be read and get a line of their own.
constexpr std::size_t kMostNotes = 100;
// Names of attributes together: a long name of a group is in those of all attributes below it.
constexpr std::size_t kNamesBytes = 16u << 20;

// Copies a tree of groups without attributes. The reader follows groups to a fixed depth and lets
// none hold itself, so this may recurse.
class Lift {
 public:
  explicit Lift(const Document& original) {
    result_.document.arena->keep_alive(original.arena);
    result_.document.path = original.path;
    result_.document.container = original.container;
    result_.document.root = copy(original.root);
  }

  LiftedAttributes take() { return std::move(result_); }

 private:
  Value copy(Value value) {
    if (const auto known = copies_.find(value.identity()); known != copies_.end())
      return known->second;
    Arena& arena = *result_.document.arena;
    Value made = value;
    if (const DictNode* dict = value.if_dict()) {
      lift(dict->attributes);
      made = arena.dict(dict->dict_class);
      made.as_dict().entries.reserve(arena, dict->entries.size());
      for (const DictEntry& entry : dict->entries) {
        path_.push_back(entry.key);
        made.as_dict().append(arena, entry.key, copy(entry.value));
        path_.pop_back();
      }
    } else if (const TensorNode* tensor = value.if_tensor();
               tensor != nullptr && !tensor->attributes.is_none()) {
      lift(tensor->attributes);
      made = arena.tensor(tensor->tensor);
    }
    if (value.identity() != nullptr) copies_.emplace(value.identity(), made);
    return made;
  }

  void lift(Value attributes) {
    const DictNode* dict = attributes.if_dict();
    if (dict == nullptr || dict->entries.empty()) return;
    std::string place;
    for (const Value& key : path_) {
      if (!place.empty()) place += '/';
      place += text_of(key);
      charge(place.size());
    }
    for (const DictEntry& entry : dict->entries) {
      result_.attributes.push_back({place + "@" + text_of(entry.key), entry.value});
      charge(result_.attributes.back().name.size());
    }
  }

  std::string text_of(Value key) {
    return key.is_string() ? std::string(key.as_string()) : names_.text_of(key);
  }

  void charge(std::size_t bytes) {
    if (bytes > left_bytes_)
      fail(Code::kUnsupported, "the names of HDF5 attributes take more than {} bytes", kNamesBytes);
    left_bytes_ -= bytes;
  }

  LiftedAttributes result_;
  std::vector<Value> path_;
  PlainJson names_;
  std::size_t left_bytes_ = kNamesBytes;
  std::unordered_map<const void*, Value> copies_;
};

}  // namespace

LiftedAttributes lift_attributes(const Document& document) {
  if (document.container != kContainer) return {document, {}};
  LiftedAttributes lifted = Lift(document).take();
  return lifted.attributes.empty() ? LiftedAttributes{document, {}} : std::move(lifted);
}

StepResult keep_attributes(const Document& document, const std::vector<LiftedAttribute>& lifted) {
  Draft draft(document);
  std::size_t unread = 0;
  for (const LiftedAttribute& attribute : lifted) {
    draft.keep_unmapped(attribute.name, attribute.value);
    const OpaqueNode* marker = attribute.value.if_opaque();
    if (marker == nullptr || ++unread > kMostNotes) continue;
    draft.note(
        fmt::format("attribute {} is of a type that is not read ({}): it stays in the source",
                    printable(attribute.name), printable(marker->name)));
  }
  if (unread > kMostNotes)
    draft.note(fmt::format("{} more attributes are not read", unread - kMostNotes));
  return {draft.finish(), std::move(draft.changed())};
}

}  // namespace reprise::migrate
