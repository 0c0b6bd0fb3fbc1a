// Everything that training changes, and its form as a checkpoint.
#pragma once

#include "ckpt/state/checkpoint.h"
#include "ckpt/store/metrics.h"
#include "engine/optim/loss_scaler.h"
#include "engine/optim/optimizer.h"
#include "train/mode.h"

#include <memory>
#include <optional>
#include <vector>

namespace reprise::train {

// The state of a run between two updates. Owned by the training thread.
struct Learner {
  engine::Weights weights;
  std::unique_ptr<engine::Optimizer> optimizer;
  std::optional<engine::Weights> ema;
  std::optional<engine::LossScaler> scaler;  // with --amp fp16
  TrainingProgress progress;
  store::MetricsState metrics;
  Uuid run;
  std::vector<Parent> parents;
};

// What does not change while training, of a checkpoint.
struct CheckpointFrame {
  Json config;  // with "derived"
  Json random;
  std::optional<Digest> fingerprint;
};

// A resumable checkpoint with a new UUID. Tensors are views of the learner's memory: save it, or
// take a snapshot, before the next update.
Checkpoint to_checkpoint(const Learner& learner, const Mode& mode, const CheckpointFrame& frame,
                         std::optional<LedgerPosition> ledger);

// The part of restoring that does not depend on who wrote the checkpoint: weights, optimizer, EMA,
// and the checkpoint as parent. Errors: as restore().
void restore_tensors(Learner& learner, Mode& mode, const Checkpoint& checkpoint);

// Takes over weights, optimizer, EMA, progress and metrics. The learner has been made for the
// same configuration. Errors: kMismatch naming what is missing or does not fit; then the learner
// must not be used.
void restore(Learner& learner, Mode& mode, const Checkpoint& checkpoint);

// Weights and buffers, optimizer, EMA and the mode's own state as (name, tensor): what the ledger
// digests after an update. `arena` keeps the optimizer's part alive; tensors are views.
NamedState state_tensors(const Learner& learner, const Mode& mode, Arena& arena);

}  // namespace reprise::train
