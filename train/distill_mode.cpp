#include "train/distill_mode.h"

#include "ckpt/base/error.h"
#include "engine/torch_bridge/load_state.h"
#include "train/learner.h"

namespace reprise::train {
namespace {

constexpr std::string_view kProjector = "projector.";

bool is_dense(const experiment::Config& config) { return config.distill == "dense"; }

// Whose weights of its backbone's checkpoint a head learnt on.
std::string backbone_take_of(const Checkpoint& head) {
  return experiment::is_training_config(head.config) ? head.config.value("backbone-take", "") : "";
}

experiment::FrozenNetwork teacher_of(const experiment::Config& config,
                                     const experiment::DataFacts& facts,
                                     const store::LoadedCheckpoint& loaded, c10::Device device) {
  const bool with_head = !is_dense(config);
  if (with_head && loaded.checkpoint.type == CheckpointType::kDino) {
    fail(Code::kMismatch,
         "{}: a dino teacher has no outputs for the labels; follow its feature maps with --distill "
         "dense",
         loaded.path.string());
  }
  const bool head_alone = experiment::is_head_alone(loaded.checkpoint);
  const experiment::FrozenNetwork teacher =
      head_alone ? experiment::frozen_head(
                       loaded, experiment::backbone_of(loaded, {}, config.search_path),
                       config.teacher_arch, backbone_take_of(loaded.checkpoint), device)
                 : experiment::frozen_network(loaded, config.teacher_arch, config.teacher_take,
                                              with_head, device);
  const engine::NetworkOptions& options = teacher.network->options();
  if (options.channels != facts.channels || (with_head && options.outputs != facts.outputs())) {
    fail(Code::kMismatch,
         "{}: takes {} channels and has {} outputs; {} has {} channels and {} outputs{}",
         loaded.path.string(), options.channels, options.outputs, config.data, facts.channels,
         facts.outputs(),
         with_head ? "; a teacher of other outputs can be followed with --distill dense" : "");
  }
  return teacher;
}

StateDict without_projector(const engine::Weights& weights) {
  StateDict out;
  for (const auto& [name, tensor] : engine::state_of(weights.named())) {
    if (!name.starts_with(kProjector)) out.append(name, tensor);
  }
  return out;
}

}  // namespace

DistillMode::DistillMode(const experiment::Config& config, const experiment::DataFacts& facts,
                         c10::Device device)
    : DistillMode(config, facts, device, store::open_checkpoint(config.teacher)) {}

DistillMode::DistillMode(const experiment::Config& config, const experiment::DataFacts& facts,
                         c10::Device device, const store::LoadedCheckpoint& teacher)
    : OtherCheckpointMode(config, facts, make_network(config, facts), teacher, "teacher",
                          Relation::kDistilledFrom),
      teacher_(teacher_of(config, facts, teacher, device)),
      distillation_(*network_, *teacher_.network, *teacher_.weights,
                    {is_dense(config), config.distill_temp, config.distill_weight}) {}

LoadedWeights DistillMode::load(const engine::Weights& weights) {
  // The network alone, which no projector is part of; --no-strict leaves the rest of it as drawn.
  engine::Weights part(network_->layout(), weights.flat().device());
  engine::load_state(without_projector(weights), part.named(), true);
  LoadedWeights loaded = load_weights(config_, *network_, part);
  std::vector<engine::NamedTensor> targets;
  for (engine::NamedTensor& target : weights.named()) {
    if (!target.name.starts_with(kProjector)) targets.push_back(std::move(target));
  }
  engine::load_state(engine::state_of(part.named()), targets, true);
  return loaded;
}

engine::ShardFunction DistillMode::shard_function(const Learner& learner,
                                                  const engine::Batch& batch, c10::Device device,
                                                  std::uint64_t /*update*/) {
  return [this, &weights = learner.weights,
          tensors = engine::tensors_of(batch, facts_.channels, device)](engine::Shard& shard) {
    return distillation_.function(weights, objective_, tensors)(shard);
  };
}

void DistillMode::describe(const Learner& learner, Checkpoint& checkpoint) const {
  describe_network(without_projector(learner.weights), checkpoint);
  checkpoint.loss_func = engine::state_of(learner.weights.named(kProjector));
}

void DistillMode::restore(const Learner& learner, const Checkpoint& checkpoint) {
  StateDict state = experiment::network_state(checkpoint);
  for (const auto& [name, tensor] : checkpoint.loss_func) state.append(name, tensor);
  engine::load_state(state, learner.weights.named(), true);
}

}  // namespace reprise::train
