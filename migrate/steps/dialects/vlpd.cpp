// VLPD: {epoch, optimizer, model}, where `model` may be the EMA teacher.
#include "migrate/steps/dialect.h"
#include "migrate/steps/draft.h"

namespace reprise::migrate {

namespace {

bool fits(const Value& root, bool) {
  const DictNode* dict = root.if_dict();
  return dict != nullptr && dict->contains("epoch") && dict->contains("optimizer") &&
         looks_like_state_dict(dict->get("model"));
}

StepResult adapt(const Document& document, const UpgradeOptions&) {
  Draft draft(document, "model");
  Intake intake(draft.arena(), document.root.as_dict());
  for (const std::string_view key : {"epoch", "model", "optimizer"})
    draft.set(key, intake.take(key));
  for (const DictEntry& entry : intake.rest())
    draft.root().append(draft.arena(), entry.key, entry.value);
  return {draft.finish(), std::move(draft.changed())};
}

}  // namespace

constinit const Dialect kVlpd = {"vlpd", fits, adapt};

}  // namespace reprise::migrate
