// Version 3 merged the types `head` and `backbone` into `supervised`, which always
// has a head and not always a backbone.
#include "migrate/steps/draft.h"
#include "migrate/steps/head_architecture.h"
#include "migrate/steps/plain_value.h"
#include "migrate/steps/step.h"

namespace reprise::migrate {

StepResult merge_head_and_backbone(const Document& document, const UpgradeOptions& options) {
  Draft draft(document);
  draft.set_version(3);
  const Value type_value = plain_value(draft.arena(), draft.get("type")).value;
  const auto type = type_value.if_string().value_or("");
  if (type == "head") {
    draft.set("type", "supervised");
    draft.note("type: head is called supervised from version 3 on");
    if (!draft.root().contains("uuid_backbone")) {
      draft.note("backbone: the file neither holds one nor names the file that does");
    }
  } else if (type == "backbone") {
    draft.set("type", "model");
    draft.set("model", draft.take("backbone"));
    draft.note("type: backbone becomes model: there is no head, and supervised always has one");
  }
  if (draft.get("type").if_string() == "supervised") settle_head_architecture(draft, options);
  return {draft.finish(), std::move(draft.changed())};
}

}  // namespace reprise::migrate
