// A shard too small for BatchNorm, which normalises nothing that it has one value of.
#pragma once

#include "engine/shards/plan.h"
#include "train/learner.h"
#include "train/mode.h"

namespace reprise::train {

// Computes the smallest pass of an update, of one image, where a shard has one: before there is a
// run directory, and for multi-scale training before the update that draws the smallest side.
// Costs nothing otherwise. Changes no state. Errors: kUsage saying what to change.
void refuse_lone_value(const experiment::Config& config, const Mode& mode, const Learner& learner,
                       const engine::Dataset& train, const engine::ShardPlan& plan);

}  // namespace reprise::train
