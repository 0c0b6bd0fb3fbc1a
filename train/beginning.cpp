#include "train/beginning.h"

#include "ckpt/base/error.h"
#include "engine/device/memory.h"
#include "train/adopt.h"
#include "train/lr_factors.h"
#include "train/run_plan.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace reprise::train {
namespace {

// One that is never measured would make no save the best and end no run.
std::pair<std::string, store::MetricMode> major_metric(const experiment::Config& config,
                                                       const Mode& mode) {
  if (config.major_metric == "auto") return store::parse_major_metric(mode.usual_major_metric());
  auto major = store::parse_major_metric(config.major_metric);
  const std::vector<std::string> names = mode.metric_names();
  if (std::ranges::find(names, major.first) == names.end()) {
    fail(Code::kUsage, "major-metric: '{}' is not measured here; there are {}",
         printable(major.first), fmt::join(names, ", "));
  }
  return major;
}

// Weights that a checkpoint will replace, all of them, need not be drawn.
Learner new_learner(const StartPoint& start, const Mode& mode, const Rank& rank) {
  const experiment::Config& config = start.config;
  const engine::MemoryScope of_weights(engine::MemoryPart::kWeights);
  auto weights =
      start.resumed || start.adopted
          ? engine::Weights(mode.layout(), rank.device)
          : engine::Weights::initialised(mode.layout(), static_cast<std::uint64_t>(config.seed),
                                         rank.device, rank.pool.threads());
  Learner learner{std::move(weights), nullptr, std::nullopt, std::nullopt, {}, {}, {},
                  mode.parents()};
  engine::OptimizerOptions optimizer = optimizer_options(config);
  optimizer.lr_factors = lr_factors(config, *mode.layout(), mode.network().head_prefix());
  const engine::MemoryScope of_optimizer(engine::MemoryPart::kOptimizer);
  learner.optimizer = engine::make_optimizer(optimizer, learner.weights);
  if (config.amp == "fp16") learner.scaler.emplace(config.loss_scale);
  return learner;
}

// What is best and how long to wait for it may differ between starts of one run, so both are set
// after restoring.
void set_major_metric(Learner& learner, const experiment::Config& config, const Mode& mode) {
  const auto [name, direction] = major_metric(config, mode);
  learner.metrics.set_major(name, direction);
  if (config.patience == 0) return;
  store::Metric& metric = *learner.metrics.find(name);
  metric.use_for_plateau_detection = true;
  metric.patience = static_cast<std::uint64_t>(config.patience);
  metric.min_delta = config.tolerance;
}

// After --allow-config-change the batch may be another one; the samples that were seen are the
// same.
void count_in_new_batches(TrainingProgress& progress, const Checkpoint& checkpoint,
                          const experiment::Config& config) {
  const auto now = static_cast<std::uint64_t>(*config.batch_size);
  const std::uint64_t before = checkpoint.config.value("batch-size", now);
  const std::uint64_t seen = progress.batch_cursor * before;
  if (seen % now != 0) {
    fail(Code::kMismatch,
         "{} samples of epoch {} were seen, in batches of {}; batches of {} cannot go on from "
         "there: "
         "resume from the end of an epoch, or with a batch size that divides {}",
         seen, progress.epoch + 1, before, now, seen);
  }
  progress.batch_cursor = seen / now;
}

}  // namespace

Beginning begin(const StartPoint& start, const experiment::DataFacts& facts, const Rank& rank) {
  const experiment::Config& config = start.config;
  std::unique_ptr<Mode> mode = make_mode(config, facts, rank.device);
  Learner learner = new_learner(start, *mode, rank);
  std::optional<LoadedWeights> loaded;
  if (!config.load_from.empty()) {
    loaded = mode->load(learner.weights);
    learner.parents.push_back({loaded->uuid, Relation::kLoaded});
  }
  mode->begin(learner);
  if (config.ema > 0) {
    const engine::MemoryScope of_average(engine::MemoryPart::kWeights);
    learner.ema = learner.weights.clone();
  }
  if (start.resumed) {
    try {
      restore(learner, *mode, start.resumed->checkpoint);
      count_in_new_batches(learner.progress, start.resumed->checkpoint, config);
    } catch (const Error& error) {
      throw error.at(start.resumed->path.string());
    }
  }
  if (start.adopted) {
    const engine::ShardPlan plan = shard_plan(config, *rank.communicator);
    try {
      adopt(learner, *mode, start.adopted->checkpoint,
            facts.train_samples / plan.samples_per_update(), plan.samples_per_update());
    } catch (const Error& error) {
      throw error.at(start.adopted->path.string());
    }
  }
  set_major_metric(learner, config, *mode);
  return {std::move(mode), std::move(learner), std::move(loaded)};
}

}  // namespace reprise::train
