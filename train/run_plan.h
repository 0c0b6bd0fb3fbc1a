// How long a run is and how its updates are cut: what is known of them before the first one.
#pragma once

#include "ckpt/state/checkpoint.h"
#include "engine/data/sampler.h"
#include "engine/distributed/communicator.h"
#include "engine/schedules/schedule.h"
#include "engine/shards/plan.h"
#include "experiment/parts.h"

#include <cstdint>

namespace reprise::train {

// How the batch is cut for the processes there are. Errors: kUsage when it cannot be.
engine::ShardPlan shard_plan(const experiment::Config& config,
                             const engine::Communicator& communicator);

// A value.
struct RunPlan {
  engine::ShardPlan shards;
  std::uint64_t updates_per_epoch = 0;
  std::uint64_t updates = 0;  // after so many of them the run ends
  engine::Schedule learning_rate;
  engine::Schedule weight_decay;
};

// Errors: kUsage for a batch that the data do not fill, a schedule that does not fit the run, and
// as shard_plan().
RunPlan plan_run(const experiment::Config& config, const experiment::DataFacts& facts,
                 const engine::Communicator& communicator);

// The order of samples from `progress` on. Errors: kMismatch for a point that lies between two
// updates of no such run, as after a change of the batch size.
engine::TrainSampler sampler_from(const experiment::Config& config,
                                  const experiment::DataFacts& facts, const RunPlan& plan,
                                  const TrainingProgress& progress);

}  // namespace reprise::train
