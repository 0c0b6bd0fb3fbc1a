// What a run begins with: its mode and its learner, as the start point says.
#pragma once

#include "train/learner.h"
#include "train/rank.h"
#include "train/start.h"

#include <memory>
#include <optional>

namespace reprise::train {

struct Beginning {
  std::unique_ptr<Mode> mode;
  Learner learner;
  std::optional<LoadedWeights> loaded;  // of --load-from
};

// Weights drawn by the seed, or loaded, or those of the checkpoint that is resumed or adopted, with
// optimizer, average and metrics. Writes nothing. `start` and `facts` outlive it. Errors: those of
// make_mode(), of loading, and of restore(), with the checkpoint's path.
Beginning begin(const StartPoint& start, const experiment::DataFacts& facts, const Rank& rank);

}  // namespace reprise::train
