// Supervised learning with another checkpoint beside it: a backbone under a head, a teacher.
#pragma once

#include "ckpt/store/load.h"
#include "train/supervised_mode.h"

#include <string>

namespace reprise::train {

// See Mode. What a run's checkpoints say of the other one: its UUID in their configuration and
// among their parents, and where it lay, which is where eval and resuming look first.
class OtherCheckpointMode : public SupervisedMode {
 public:
  std::vector<Parent> parents() const override { return {{uuid_, relation_}}; }
  void describe_config(Json& config) const override;

 protected:
  // `option`: the key that names it, "backbone" or "teacher". `network`: what learns.
  OtherCheckpointMode(const experiment::Config& config, const experiment::DataFacts& facts,
                      std::unique_ptr<const engine::Network> network,
                      const store::LoadedCheckpoint& other, std::string option, Relation relation);

  const Uuid uuid_;
  const std::string path_;

 private:
  std::string option_;
  Relation relation_;
};

}  // namespace reprise::train
