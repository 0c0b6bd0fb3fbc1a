// Where the watched device asks whether it is to fail.
#pragma once

#include "tests/engine/watched_device/watched_device.h"

namespace reprise::engine {

// Errors: c10::Error while a Failure of the kind lives.
void fail_if_told(Failing what);

}  // namespace reprise::engine
