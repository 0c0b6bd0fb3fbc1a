// Named tensors of a TorchScript archive's object tree.
#pragma once

#include "ckpt/state/value.h"

namespace reprise::container {

// An ordered dict from dotted names ("layer1.0.weight") to the tensors that the script
// objects below `root` hold as attributes, in order; its `attributes` are `root`, so that
// nothing else in the file is lost. Does not recurse; an object that occurs twice is
// listed once, under its first name, as state_dict() of shared modules would not be.
// Errors: kUnsupported when `root` is no script object.
Value script_state(Arena& arena, Value root);

}  // namespace reprise::container
