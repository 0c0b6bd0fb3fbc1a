// --memory-report: what the most memory was made of.
#pragma once

#include "ckpt/base/json.h"
#include "train/run_log.h"

#include <c10/core/Device.h>

namespace reprise::train {

// The peak of this process by part, and what the system says it takes in all.
Json memory_report(c10::Device device);
// The same for people, largest part first.
void log_memory(RunLog& log, const Json& report);

}  // namespace reprise::train
