#include "train/head_mode.h"

#include "ckpt/base/error.h"
#include "ckpt/store/reference.h"
#include "ckpt/store/take.h"
#include "engine/models/frozen_backbone.h"
#include "experiment/other_checkpoint.h"
#include "train/learner.h"

namespace reprise::train {
namespace {

std::unique_ptr<const engine::Network> network_on(const experiment::Config& config,
                                                  const experiment::DataFacts& facts,
                                                  const store::LoadedCheckpoint& backbone,
                                                  c10::Device device) {
  const experiment::FrozenNetwork frozen =
      experiment::frozen_network(backbone, config.arch, config.backbone_take, false, device);
  if (frozen.network->options().channels != facts.channels) {
    fail(Code::kMismatch, "{}: takes images of {} channels, {} has {}", backbone.path.string(),
         frozen.network->options().channels, config.data, facts.channels);
  }
  return engine::on_frozen_backbone(frozen.network, frozen.weights, facts.outputs());
}

}  // namespace

HeadMode::HeadMode(const experiment::Config& config, const experiment::DataFacts& facts,
                   c10::Device device)
    : HeadMode(config, facts, device, store::open_checkpoint(config.backbone)) {}

HeadMode::HeadMode(const experiment::Config& config, const experiment::DataFacts& facts,
                   c10::Device device, const store::LoadedCheckpoint& backbone)
    : OtherCheckpointMode(config, facts, network_on(config, facts, backbone, device), backbone,
                          "backbone", Relation::kBackbone) {}

LoadedWeights HeadMode::load(const engine::Weights& weights) {
  const std::string path = store::resolve(config_.load_from, store::DirectoryMeans::kLast).string();
  const store::LoadedCheckpoint loaded = store::open_checkpoint(path);
  try {
    return {loaded.checkpoint.uuid, loaded.path,
            engine::load_state(
                store::take_weights(loaded.checkpoint, config_.take.empty() ? "head" : config_.take,
                                    config_.strip_prefix),
                weights.named(), config_.strict)};
  } catch (const Error& error) {
    throw error.at(loaded.path.string());
  }
}

void HeadMode::describe(const Learner& learner, Checkpoint& checkpoint) const {
  SupervisedMode::describe(learner, checkpoint);
  checkpoint.uuid_backbone = uuid_;
}

void HeadMode::restore(const Learner& learner, const Checkpoint& checkpoint) {
  if (checkpoint.uuid_backbone != uuid_) {
    fail(Code::kMismatch, "its backbone is checkpoint {}, {} is {}",
         checkpoint.uuid_backbone ? checkpoint.uuid_backbone->text() : "unknown", path_,
         uuid_.text());
  }
  engine::load_state(checkpoint.head, learner.weights.named(), true);
}

}  // namespace reprise::train
