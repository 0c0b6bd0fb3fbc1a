#include "train/run_plan.h"

#include "ckpt/base/error.h"

#include <algorithm>

namespace reprise::train {
namespace {

std::uint64_t number(std::int64_t value) { return static_cast<std::uint64_t>(value); }

}  // namespace

engine::ShardPlan shard_plan(const experiment::Config& config,
                             const engine::Communicator& communicator) {
  engine::ShardPlan plan;
  plan.batch = number(*config.batch_size);
  plan.shards = number(*config.shards);
  plan.accumulate = number(config.accumulate);
  plan.world = communicator.world();
  plan.rank = communicator.rank();
  plan.validate();
  return plan;
}

RunPlan plan_run(const experiment::Config& config, const experiment::DataFacts& facts,
                 const engine::Communicator& communicator) {
  const engine::ShardPlan shards = shard_plan(config, communicator);
  const std::uint64_t updates_per_epoch = facts.train_samples / shards.samples_per_update();
  if (updates_per_epoch == 0) {
    fail(Code::kUsage,
         "an update takes {} samples (batch-size {} x accumulate {}), and {} has {}; lower the "
         "batch size",
         shards.samples_per_update(), shards.batch, shards.accumulate, config.data,
         facts.train_samples);
  }
  const std::uint64_t all = updates_per_epoch * number(config.epochs);
  return {shards, updates_per_epoch,
          config.max_updates > 0 ? std::min(all, number(config.max_updates)) : all,
          make_schedule(config, updates_per_epoch), make_decay_schedule(config, updates_per_epoch)};
}

engine::TrainSampler sampler_from(const experiment::Config& config,
                                  const experiment::DataFacts& facts, const RunPlan& plan,
                                  const TrainingProgress& progress) {
  return {number(config.seed), facts.train_samples, plan.shards.samples_per_update(),
          engine::Cursor{progress.epoch, progress.batch_cursor * plan.shards.batch}};
}

}  // namespace reprise::train
