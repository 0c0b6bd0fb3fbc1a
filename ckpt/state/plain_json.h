// Inert values as plain JSON: configurations, metrics, and keys that are no text.
#pragma once

#include "ckpt/base/json.h"
#include "ckpt/state/repeated_text.h"
#include "ckpt/state/value.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_set>

namespace reprise {

// Tuples and sets become arrays, numpy scalars numbers, keys text. Tensors, opaque values and
// recursion have no such form: they become a string that says what was there. Shared nodes are
// written out each time they occur, so a hostile tree of 60 lists could double 60 times: what
// an object has converted before costs of a budget that is one for all it converts, and
// "<too large>" stands for what that does not cover. Cost: linear in the nodes it is given.
class PlainJson {
 public:
  Json convert(Value value) { return convert(value, 0); }
  // A key as text: its own, or that of its JSON.
  std::string text_of(Value key) { return key_text(key, 0); }

 private:
  Json convert(Value value, std::size_t depth);
  Json object(const DictNode& dict, std::size_t depth);
  Json record(Value value, std::size_t depth);
  std::string text(std::string_view text);
  std::string key_text(Value key, std::size_t depth);
  bool admit(Value node, std::size_t values);

  std::unordered_set<const void*> seen_;
  std::size_t values_left_ = 100'000;
  RepeatedText texts_{4u << 20};
};

// One value with a budget of its own.
Json to_plain_json(Value value);

}  // namespace reprise
