// Enum members, namespaces and numpy scalars as plain values.
#pragma once

#include "ckpt/state/value.h"

namespace reprise::migrate {

// A copy of the containers in `value` with: enum members (a call of an unknown class
// with one plain argument, or getattr of a class) replaced by their value or name,
// Namespace and dict subclasses by dicts, list subclasses by lists, numpy scalars by
// numbers. What is not plain after that stays as it is. Shared nodes stay shared.
// `changed` counts replacements. Cost: O(nodes).
struct PlainValue {
  Value value;
  std::size_t changed = 0;
};
PlainValue plain_value(Arena& arena, Value value);

// The value of a pickled enum member, none when `value` is no such thing.
Value enum_value(Arena& arena, Value value);

}  // namespace reprise::migrate
