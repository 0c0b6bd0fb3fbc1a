// --mode supervised: a network learns the labels or numbers of the data.
#pragma once

#include "engine/tasks/objective.h"
#include "train/mode.h"
#include "train/multi_scale.h"

namespace reprise::train {

// See Mode. The whole network learns.
class SupervisedMode : public Mode {
 public:
  SupervisedMode(const experiment::Config& config, const experiment::DataFacts& facts);

  const engine::Network& network() const override { return *network_; }
  std::shared_ptr<const engine::Layout> layout() const override { return network_->layout(); }
  std::vector<engine::View> views(const engine::Dataset& dataset) const override;
  int side(std::uint64_t update) const override { return scale_.side(update); }
  int largest_side() const override { return scale_.largest(); }
  StepNeeds needs() const override { return {}; }
  LoadedWeights load(const engine::Weights& weights) override;
  engine::ShardFunction shard_function(const Learner& learner, const engine::Batch& batch,
                                       c10::Device device, std::uint64_t update) override;
  void describe(const Learner& learner, Checkpoint& checkpoint) const override;
  void restore(const Learner& learner, const Checkpoint& checkpoint) override;
  engine::Metrics measure(const Learner& learner, const EvaluationParts& parts) const override;
  std::vector<std::string> metric_names() const override;
  std::string usual_major_metric() const override;

 protected:
  // For modes that are supervised learning of something else.
  SupervisedMode(const experiment::Config& config, const experiment::DataFacts& facts,
                 std::unique_ptr<const engine::Network> network);

  // Type, architecture, and `state`, which has the network's names, as backbone and head.
  void describe_network(const StateDict& state, Checkpoint& checkpoint) const;

  const experiment::Config& config_;
  const experiment::DataFacts& facts_;
  std::unique_ptr<const engine::Network> network_;
  engine::Objective objective_;
  MultiScale scale_;
};

}  // namespace reprise::train
