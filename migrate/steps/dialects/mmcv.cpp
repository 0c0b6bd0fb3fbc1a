// mmcv and its successor MMEngine: {meta, state_dict, optimizer}; MMEngine adds
// message_hub and param_schedulers and keeps its gradient scaler inside `optimizer`.
#include "ckpt/base/error.h"
#include "migrate/steps/dialect.h"
#include "migrate/steps/draft.h"

namespace reprise::migrate {

namespace {

bool has_meta(const Value& root) {
  const DictNode* dict = root.if_dict();
  return dict != nullptr && dict->get("meta").is_dict() && dict->get("state_dict").is_dict();
}

bool is_mmengine(const DictNode& root) {
  return root.contains("message_hub") || root.contains("param_schedulers") ||
         root.get("meta").as_dict().contains("mmengine_version");
}

bool fits_mmcv(const Value& root, bool) { return has_meta(root) && !is_mmengine(root.as_dict()); }
bool fits_mmengine(const Value& root, bool) {
  return has_meta(root) && is_mmengine(root.as_dict());
}

// The scaler that MMEngine's AmpOptimWrapper stores between the optimizer's own keys.
void take_scaler_out_of_optimizer(Draft& draft) {
  const DictNode* optimizer = draft.get("optimizer").if_dict();
  if (optimizer == nullptr || !optimizer->contains("loss_scaler")) return;
  const Value rest = copy_dict(draft.arena(), *optimizer);
  draft.additions().set(draft.arena(), "scaler", optimizer->get("loss_scaler"));
  rest.as_dict().erase("loss_scaler");
  draft.set("optimizer", rest);
  draft.note("scaler: taken from optimizer/loss_scaler");
}

StepResult adapt(const Document& document, const UpgradeOptions&) {
  Draft draft(document, "model");
  Arena& arena = draft.arena();
  Intake intake(arena, document.root.as_dict());
  Intake meta(arena, intake.take("meta").as_dict());
  const Value epoch = meta.take("epoch");
  draft.set("epoch", epoch);
  draft.set("model", intake.take("state_dict"));
  draft.set("optimizer", intake.take("optimizer"));
  draft.additions().set(arena, "progress", progress_of(arena, meta.take("iter"), epoch));
  // The configuration is a Python program: kept as text, never interpreted.
  for (const std::string_view key : {"config", "cfg"}) {
    const Value text = meta.take(key);
    if (text.is_string()) draft.additions().set(arena, "config_text", text);
    if (!text.is_none() && !text.is_string())
      draft.keep_unmapped(fmt::format("meta/{}", key), text);
  }
  const Value others = arena.dict();
  for (const DictEntry& entry : meta.rest()) others.as_dict().append(arena, entry.key, entry.value);
  draft.keep_detail("meta", others);
  draft.additions().set(arena, "scheduler", intake.take("param_schedulers"));
  take_scaler_out_of_optimizer(draft);
  for (const DictEntry& entry : intake.rest()) draft.root().append(arena, entry.key, entry.value);
  return {draft.finish(), std::move(draft.changed())};
}

}  // namespace

constinit const Dialect kMmcv = {"mmcv", fits_mmcv, adapt};
constinit const Dialect kMmengine = {"mmengine", fits_mmengine, adapt};

}  // namespace reprise::migrate
