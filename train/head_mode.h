// --mode head: a head learns on the features of another checkpoint's backbone, which stays.
#pragma once

#include "train/other_checkpoint_mode.h"

namespace reprise::train {

// See Mode. The weights that learn are the head's alone; a checkpoint holds them and the UUID of
// the backbone's.
class HeadMode : public OtherCheckpointMode {
 public:
  // `config` has been through settle_other_checkpoints().
  HeadMode(const experiment::Config& config, const experiment::DataFacts& facts,
           c10::Device device);

  LoadedWeights load(const engine::Weights& weights) override;
  void describe(const Learner& learner, Checkpoint& checkpoint) const override;
  void restore(const Learner& learner, const Checkpoint& checkpoint) override;

 private:
  HeadMode(const experiment::Config& config, const experiment::DataFacts& facts, c10::Device device,
           const store::LoadedCheckpoint& backbone);
};

}  // namespace reprise::train
