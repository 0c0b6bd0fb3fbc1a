// Distributed-SOD and the MINet family: {arch, epoch, net_state, opti_state,
// amp_state}, with sche_state in the MINet branch.
#include "migrate/steps/dialect.h"
#include "migrate/steps/draft.h"

namespace reprise::migrate {

namespace {

bool fits(const Value& root, bool) {
  const DictNode* dict = root.if_dict();
  return dict != nullptr && dict->get("net_state").is_dict() && dict->contains("opti_state");
}

StepResult adapt(const Document& document, const UpgradeOptions&) {
  Draft draft(document, "model");
  Intake intake(draft.arena(), document.root.as_dict());
  for (const std::string_view key : {"epoch", "arch"}) draft.set(key, intake.take(key));
  draft.set("model", intake.take("net_state"));
  draft.set("optimizer", intake.take("opti_state"));
  draft.additions().set(draft.arena(), "scheduler", intake.take("sche_state"));
  draft.additions().set(draft.arena(), "scaler", intake.take("amp_state"));
  for (const DictEntry& entry : intake.rest())
    draft.root().append(draft.arena(), entry.key, entry.value);
  return {draft.finish(), std::move(draft.changed())};
}

}  // namespace

constinit const Dialect kDistributedSod = {"distributed-sod", fits, adapt};

}  // namespace reprise::migrate
