#include "train/learner.h"

#include "ckpt/base/error.h"

namespace reprise::train {
namespace {

// Depth of an optimizer's state is three; anything deeper is not ours.
void collect(const Value& value, const std::string& name, int depth, NamedState& out) {
  if (const TensorNode* node = value.if_tensor()) {
    out.emplace_back(name, node->tensor);
  } else if (const DictNode* dict = value.if_dict(); dict != nullptr && depth < 8) {
    for (const DictEntry& entry : dict->entries) {
      const auto key = entry.key.if_string();
      collect(
          entry.value,
          fmt::format("{}/{}", name,
                      key ? std::string(*key) : std::to_string(entry.key.if_int().value_or(-1))),
          depth + 1, out);
    }
  }
}

}  // namespace

Checkpoint to_checkpoint(const Learner& learner, const Mode& mode, const CheckpointFrame& frame,
                         std::optional<LedgerPosition> ledger) {
  Checkpoint checkpoint;
  mode.describe(learner, checkpoint);
  checkpoint.epoch = learner.progress.epoch;
  checkpoint.uuid = Uuid::random();
  if (learner.ema) checkpoint.ema = engine::state_of(learner.ema->named());
  if (learner.scaler) checkpoint.scaler = learner.scaler->state(*checkpoint.arena);
  checkpoint.config = frame.config;
  checkpoint.metrics = learner.metrics.to_json();
  checkpoint.optimizer = learner.optimizer->state(*checkpoint.arena);
  checkpoint.run = learner.run;
  checkpoint.parents = learner.parents;
  checkpoint.progress = learner.progress;
  checkpoint.random = frame.random;
  checkpoint.fingerprint = frame.fingerprint;
  checkpoint.ledger = ledger;
  return checkpoint;
}

void restore_tensors(Learner& learner, Mode& mode, const Checkpoint& checkpoint) {
  mode.restore(learner, checkpoint);
  learner.optimizer->load(checkpoint.optimizer);
  learner.parents = {{checkpoint.uuid, Relation::kResumed}};
  if (learner.ema) {
    if (checkpoint.ema.empty()) {
      // The average starts at the weights, as in a new run.
      learner.ema = learner.weights.clone();
    } else {
      engine::load_state(checkpoint.ema, learner.ema->named(), true);
    }
  }
}

void restore(Learner& learner, Mode& mode, const Checkpoint& checkpoint) {
  restore_tensors(learner, mode, checkpoint);
  // Without one only with --allow-config-change: the scale starts as in a new run.
  if (learner.scaler && !checkpoint.scaler.is_none()) learner.scaler->load(checkpoint.scaler);
  learner.progress = *checkpoint.progress;
  learner.metrics = store::MetricsState::from(checkpoint.metrics);
  if (checkpoint.run) learner.run = *checkpoint.run;
}

NamedState state_tensors(const Learner& learner, const Mode& mode, Arena& arena) {
  NamedState out;
  const auto add = [&](std::string_view part, const engine::Weights& weights) {
    for (const auto& [name, tensor] : engine::state_of(weights.named())) {
      out.emplace_back(fmt::format("{}/{}", part, name), tensor);
    }
  };
  add("weights", learner.weights);
  collect(learner.optimizer->state(arena), "optimizer", 0, out);
  if (learner.ema) add("ema", *learner.ema);
  mode.add_state(out);
  return out;
}

}  // namespace reprise::train
