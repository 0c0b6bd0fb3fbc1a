// One run of `train`, from options to exit code.
#pragma once

#include "ckpt/base/io.h"
#include "experiment/config.h"

#include <vector>

namespace reprise::train {

// Trains as the options say and returns the exit code: 0 when done, 75 when stopped by a signal
// or --max-hours after saving. `jobs`: threads that compute, 0 for one a core.
// Errors: kNo when the loss diverged; those of everything that training touches.
int run_training(const std::vector<experiment::OptionLayer>& given, unsigned jobs, Io& io);

}  // namespace reprise::train
