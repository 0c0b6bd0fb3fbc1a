// --mode distill: a network learns what a teacher says, and as much of the labels as is wanted.
#pragma once

#include "engine/tasks/distillation.h"
#include "experiment/other_checkpoint.h"
#include "train/other_checkpoint_mode.h"

namespace reprise::train {

// See Mode. A checkpoint is a supervised one; the projector of dense distillation is its
// loss_func, because it is of use to nothing but going on.
class DistillMode : public OtherCheckpointMode {
 public:
  // `config` has been through settle_other_checkpoints().
  DistillMode(const experiment::Config& config, const experiment::DataFacts& facts,
              c10::Device device);

  std::shared_ptr<const engine::Layout> layout() const override { return distillation_.layout(); }
  StepNeeds needs() const override { return {}; }
  LoadedWeights load(const engine::Weights& weights) override;
  engine::ShardFunction shard_function(const Learner& learner, const engine::Batch& batch,
                                       c10::Device device, std::uint64_t update) override;
  void describe(const Learner& learner, Checkpoint& checkpoint) const override;
  void restore(const Learner& learner, const Checkpoint& checkpoint) override;

 private:
  DistillMode(const experiment::Config& config, const experiment::DataFacts& facts,
              c10::Device device, const store::LoadedCheckpoint& teacher);

  experiment::FrozenNetwork teacher_;
  engine::Distillation distillation_;
};

}  // namespace reprise::train
