// Going on with a run that another program began: a checkpoint with optimizer state, whose
// configuration is not ours to read.
#pragma once

#include "ckpt/state/checkpoint.h"
#include "experiment/config.h"
#include "train/learner.h"
#include "train/mode.h"

#include <cstdint>
#include <string>

namespace reprise::train {

// What such a checkpoint says of how it was trained: its architecture where that is one of ours,
// and from PyTorch's param_groups the update rule and its numbers. A single group means that
// every parameter is decayed. `place` names the file in messages.
experiment::OptionLayer options_of_foreign(const Checkpoint& checkpoint, const std::string& place);

// Takes over weights, optimizer and epoch. The run goes on at the first update of the epoch after
// the last whole one; the optimizer's own step counts are kept. `updates_per_epoch`: of this run.
// Errors: kMismatch naming what is missing or does not fit; then the learner must not be used.
void adopt(Learner& learner, Mode& mode, const Checkpoint& checkpoint,
           std::uint64_t updates_per_epoch, std::uint64_t samples_per_update);

}  // namespace reprise::train
