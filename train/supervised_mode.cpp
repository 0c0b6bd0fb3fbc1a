#include "train/supervised_mode.h"

#include "engine/tasks/supervised.h"
#include "experiment/measure.h"
#include "experiment/other_checkpoint.h"
#include "train/learner.h"

#include <utility>

namespace reprise::train {

SupervisedMode::SupervisedMode(const experiment::Config& config, const experiment::DataFacts& facts)
    : SupervisedMode(config, facts, make_network(config, facts)) {}

SupervisedMode::SupervisedMode(const experiment::Config& config, const experiment::DataFacts& facts,
                               std::unique_ptr<const engine::Network> network)
    : config_(config),
      facts_(facts),
      network_(std::move(network)),
      objective_(make_objective(config, facts)),
      scale_(config, network_->options()) {}

std::vector<engine::View> SupervisedMode::views(const engine::Dataset& dataset) const {
  return {training_view(config_, facts_, dataset)};
}

LoadedWeights SupervisedMode::load(const engine::Weights& weights) {
  return load_weights(config_, *network_, weights);
}

engine::ShardFunction SupervisedMode::shard_function(const Learner& learner,
                                                     const engine::Batch& batch, c10::Device device,
                                                     std::uint64_t /*update*/) {
  return [this, &weights = learner.weights,
          tensors = engine::tensors_of(batch, facts_.channels, device)](engine::Shard& shard) {
    return engine::supervised(*network_, weights, objective_, tensors)(shard);
  };
}

void SupervisedMode::describe(const Learner& learner, Checkpoint& checkpoint) const {
  describe_network(engine::state_of(learner.weights.named()), checkpoint);
}

void SupervisedMode::describe_network(const StateDict& state, Checkpoint& checkpoint) const {
  checkpoint.type = CheckpointType::kSupervised;
  checkpoint.arch = network_->options().arch;
  checkpoint.arch_head = network_->arch_head();
  const std::string_view head = network_->head_prefix();
  for (const auto& [name, tensor] : state) {
    (name.starts_with(head) ? checkpoint.head : checkpoint.backbone).append(name, tensor);
  }
}

void SupervisedMode::restore(const Learner& learner, const Checkpoint& checkpoint) {
  engine::load_state(experiment::network_state(checkpoint), learner.weights.named(), true);
}

engine::Metrics SupervisedMode::measure(const Learner& learner,
                                        const EvaluationParts& parts) const {
  const experiment::Measurement measurement{*network_,
                                            objective_,
                                            *parts.data.validation,
                                            facts_,
                                            static_cast<std::uint64_t>(config_.eval_batch_size),
                                            static_cast<unsigned>(config_.workers),
                                            parts.pool,
                                            parts.communicator,
                                            parts.io};
  return experiment::measure(measurement, learner.weights, learner.ema ? &*learner.ema : nullptr);
}

std::vector<std::string> SupervisedMode::metric_names() const {
  return experiment::metric_names(facts_, config_.ema > 0);
}

std::string SupervisedMode::usual_major_metric() const {
  return facts_.task == engine::Task::kClassification ? "val/acc1:max" : "val/mae:min";
}

}  // namespace reprise::train
