// Inert values in a form that any reader of version-5 .pth files accepts.
#pragma once

#include "ckpt/state/value.h"

namespace reprise::store {

// A copy of `value` in which only what torch.load(weights_only=True) rebuilds is left:
// numpy arrays become tensors, numpy scalars numbers, classes and functions their
// names, objects of unknown classes dicts of what was recorded of them, dates and
// paths text, sets lists. Information is kept, Python types are not. Shared nodes stay
// shared; tensors are shared with the original. Cost: O(nodes).
Value portable_value(Arena& arena, Value value);

}  // namespace reprise::store
