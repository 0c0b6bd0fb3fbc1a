// Facebook's DINO: {student, teacher, optimizer, epoch, args, dino_loss, fp16_scaler}.
#include "migrate/steps/dialect.h"
#include "migrate/steps/draft.h"

namespace reprise::migrate {

namespace {

bool fits(const Value& root, bool) {
  const DictNode* dict = root.if_dict();
  return dict != nullptr && dict->get("student").is_dict() && dict->get("teacher").is_dict() &&
         !dict->contains("version") && (dict->contains("args") || dict->contains("dino_loss"));
}

StepResult adapt(const Document& document, const UpgradeOptions&) {
  Draft draft(document, "dino");
  Intake intake(draft.arena(), document.root.as_dict());
  for (const std::string_view key : {"epoch", "student", "teacher", "optimizer"})
    draft.set(key, intake.take(key));
  draft.set("loss_func", intake.take("dino_loss"));
  const Value args = intake.take("args");
  if (const DictNode* options = args.if_dict()) draft.set("arch", options->get("arch"));
  draft.set("config", args);
  draft.additions().set(draft.arena(), "scaler", intake.take("fp16_scaler"));
  for (const DictEntry& entry : intake.rest())
    draft.root().append(draft.arena(), entry.key, entry.value);
  return {draft.finish(), std::move(draft.changed())};
}

}  // namespace

constinit const Dialect kFacebookDino = {"facebook-dino", fits, adapt};

}  // namespace reprise::migrate
