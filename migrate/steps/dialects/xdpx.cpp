// XDPX: a pair. `checkpoint-N.pt` holds bare weights, `checkpoint-N.pts` beside it
// {args, train_i, trainer, loss_state_dict, lr_scheduler_state_dict,
// optimizer_state_dict (which holds loss_scale), amp}.
#include "ckpt/base/error.h"
#include "migrate/steps/dialect.h"
#include "migrate/steps/draft.h"

namespace reprise::migrate {

namespace {

bool is_state_half(const Value& root) {
  const DictNode* dict = root.if_dict();
  return dict != nullptr && dict->get("trainer").is_dict() &&
         dict->contains("optimizer_state_dict") && dict->contains("train_i") &&
         dict->contains("args");
}

bool fits(const Value& root, bool has_companion) {
  return is_state_half(root) || (has_companion && looks_like_state_dict(root));
}

void take_progress(Draft& draft, Intake& state, Intake& trainer) {
  Arena& arena = draft.arena();
  const Value epoch = trainer.take("epoch");
  draft.set("epoch", epoch);
  const Value iteration = state.take("train_i");
  const Value progress = progress_of(arena, trainer.take("num_updates"), epoch);
  if (!progress.is_none() && iteration.if_int().value_or(-1) >= 0) {
    progress.as_dict().append(arena, "source_iteration", iteration);
  } else {
    draft.keep_detail("train_i", iteration);
  }
  draft.additions().set(arena, "progress", progress);
  const Value scores = arena.dict();
  for (const DictEntry& entry : trainer.rest())
    scores.as_dict().append(arena, entry.key, entry.value);
  draft.keep_detail("trainer", scores);
}

void take_optimizer(Draft& draft, Value optimizer) {
  const DictNode* dict = optimizer.if_dict();
  if (dict == nullptr) return draft.set("optimizer", optimizer);
  const Value rest = copy_dict(draft.arena(), *dict);
  if (const Value* scale = dict->find("loss_scale")) {
    const Value scaler = draft.arena().dict();
    scaler.as_dict().append(draft.arena(), "loss_scale", *scale);
    draft.additions().set(draft.arena(), "scaler", scaler);
    rest.as_dict().erase("loss_scale");
    draft.note("scaler: taken from optimizer_state_dict/loss_scale");
  }
  draft.set("optimizer", rest);
}

StepResult adapt(const Document& document, const UpgradeOptions& options) {
  if (!options.companion || is_state_half(document.root)) {
    fail(Code::kUsage,
         "half of an XDPX pair: give the .pt, with the .pts of the same name beside it");
  }
  if (!is_state_half(options.companion->root)) {
    fail(Code::kCorrupt,
         "{}: is no state of XDPX's trainer, though it lies beside the weights as one",
         options.companion->path);
  }
  Draft draft(document, "model");
  Arena& arena = draft.arena();
  arena.keep_alive(options.companion->arena);
  draft.set("model", document.root);
  Intake state(arena, options.companion->root.as_dict());
  Intake trainer(arena, state.take("trainer").as_dict());
  take_progress(draft, state, trainer);
  draft.set("config", state.take("args"));
  take_optimizer(draft, state.take("optimizer_state_dict"));
  draft.additions().set(arena, "scheduler", state.take("lr_scheduler_state_dict"));
  draft.keep_detail("loss_state_dict", state.take("loss_state_dict"));
  draft.keep_detail("amp", state.take("amp"));
  for (const DictEntry& entry : state.rest()) draft.root().append(arena, entry.key, entry.value);
  draft.note("read together with " + options.companion->path);
  return {draft.finish(), std::move(draft.changed())};
}

}  // namespace

bool is_pair_without_weights(const Document& document) { return is_state_half(document.root); }

constinit const Dialect kXdpx = {"xdpx", fits, adapt};

}  // namespace reprise::migrate
