// Lightning 1.x and 2.x: {state_dict, optimizer_states, lr_schedulers, epoch,
// global_step, hyper_parameters, callbacks, loops, pytorch-lightning_version}.
#include "ckpt/base/error.h"
#include "migrate/steps/dialect.h"
#include "migrate/steps/draft.h"

namespace reprise::migrate {

namespace {

bool fits(const Value& root, bool) {
  const DictNode* dict = root.if_dict();
  return dict != nullptr && dict->get("state_dict").is_dict() &&
         dict->contains("pytorch-lightning_version");
}

// The first optimizer is ours; GANs and the like have more.
void take_optimizers(Draft& draft, Value states) {
  if (!states.is_sequence()) {
    if (!states.is_none()) draft.keep_unmapped("optimizer_states", states);
    return;
  }
  const auto& items = states.as_sequence().items;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i == 0) {
      draft.set("optimizer", items[i]);
    } else {
      draft.keep_unmapped(fmt::format("optimizer_states/{}", i), items[i]);
    }
  }
}

StepResult adapt(const Document& document, const UpgradeOptions&) {
  Draft draft(document, "model");
  Arena& arena = draft.arena();
  Intake intake(arena, document.root.as_dict());
  Value epoch = intake.take("epoch");
  if (const auto running = epoch.if_int();
      running && *running >= 0 && *running < (std::int64_t{1} << 62)) {
    epoch = Value::integer(*running + 1);
    draft.note("epoch: Lightning counts the running one from 0, we count completed ones");
  }
  draft.set("epoch", epoch);
  draft.set("model", intake.take("state_dict"));
  take_optimizers(draft, intake.take("optimizer_states"));
  draft.set("config", intake.take("hyper_parameters"));
  draft.additions().set(arena, "progress", progress_of(arena, intake.take("global_step"), epoch));
  draft.additions().set(arena, "scheduler", intake.take("lr_schedulers"));
  for (const std::string_view key : {"pytorch-lightning_version", "hparams_name"}) {
    draft.keep_detail(key, intake.take(key));
  }
  for (const DictEntry& entry : intake.rest()) draft.root().append(arena, entry.key, entry.value);
  return {draft.finish(), std::move(draft.changed())};
}

}  // namespace

constinit const Dialect kLightning = {"lightning", fits, adapt};

}  // namespace reprise::migrate
