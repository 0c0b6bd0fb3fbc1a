// --mode dino: self-distillation with no labels (Caron et al. 2021).
#pragma once

#include "engine/tasks/dino.h"
#include "train/mode.h"

#include <optional>

namespace reprise::train {

// See Mode. The learner's weights are the student; teacher and centre are the mode's own, and made
// by begin().
class DinoMode : public Mode {
 public:
  DinoMode(const experiment::Config& config, const experiment::DataFacts& facts);

  const engine::Network& network() const override { return network_.backbone(); }
  std::shared_ptr<const engine::Layout> layout() const override { return network_.layout(); }
  std::vector<engine::View> views(const engine::Dataset& dataset) const override;
  StepNeeds needs() const override;
  LoadedWeights load(const engine::Weights& weights) override;
  void begin(const Learner& learner) override;
  engine::ShardFunction shard_function(const Learner& learner, const engine::Batch& batch,
                                       c10::Device device, std::uint64_t update) override;
  void adjust(engine::StepOptions& options, std::uint64_t update) const override;
  void after_step(const Learner& learner, const engine::StepResult& result, std::uint64_t update,
                  engine::WorkerPool& pool) override;
  void describe(const Learner& learner, Checkpoint& checkpoint) const override;
  void restore(const Learner& learner, const Checkpoint& checkpoint) override;
  void add_state(NamedState& state) const override;
  // k-NN of the teacher's backbone: "val/knn/acc1", or "val/knn/mae" where data hold numbers.
  engine::Metrics measure(const Learner& learner, const EvaluationParts& parts) const override;
  std::vector<std::string> metric_names() const override;
  std::string usual_major_metric() const override;

 private:
  double teacher_temperature(std::uint64_t update) const;

  const experiment::Config& config_;
  const experiment::DataFacts& facts_;
  engine::DinoNetwork network_;
  std::uint64_t samples_per_update_;
  std::uint64_t updates_per_epoch_;
  engine::Schedule momentum_;
  std::optional<engine::Weights> teacher_;
  at::Tensor centre_;  // [1, out-dim]
};

}  // namespace reprise::train
