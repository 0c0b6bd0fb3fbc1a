// Ranks have to be started with the same options.
#pragma once

#include "ckpt/base/json.h"
#include "engine/distributed/communicator.h"

namespace reprise::engine {

// Compares `options` (an object) of all ranks. Errors: kMismatch on every rank, naming the first
// key that differs, the two ranks and their values.
void require_equal_options(Communicator& communicator, const Json& options);

}  // namespace reprise::engine
