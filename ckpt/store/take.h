// Weights out of a checkpoint: whose, and under which names.
#pragma once

#include "ckpt/state/checkpoint.h"

#include <span>
#include <string>
#include <string_view>

namespace reprise::store {

// The words that --take knows: teacher, student, backbone, head, ema, model.
std::span<const std::string> take_names();

// The state dict that `take` names. `backbone` and `head` of a dino checkpoint are
// those of its teacher, with that prefix removed; `model` of any type is its whole
// network: for dino the teacher; for supervised backbone and head under the network's own names,
// with the prefixes backbone. and head. only where both use one name; a head alone has none.
// With `strip_prefix`, only keys that start with it, without it. Copies no bytes.
// Errors: kUsage for an unknown word; kMismatch, naming what there is, when the
// checkpoint has no such weights or no key has the prefix.
StateDict take_weights(const Checkpoint& checkpoint, std::string_view take,
                       std::string_view strip_prefix = {});

}  // namespace reprise::store
