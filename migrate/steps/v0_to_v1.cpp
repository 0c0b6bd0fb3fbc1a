// Version 0 has no `version` key; its writer later refused it. Recognised by content.
#include "ckpt/base/error.h"
#include "migrate/steps/draft.h"
#include "migrate/steps/identity.h"
#include "migrate/steps/step.h"

namespace reprise::migrate {

StepResult identify(const Document& document, const UpgradeOptions& options) {
  Draft draft(document);
  draft.set_version(1);
  if (draft.get("type").is_none()) {
    const DictNode& root = draft.root();
    const bool backbone = root.contains("backbone"), head = root.contains("head");
    const std::string_view type = root.contains("student") || root.contains("teacher") ? "dino"
                                  : backbone && head ? "supervised"
                                  : head             ? "head"
                                                     : "backbone";
    draft.set("type", type);
    draft.note(fmt::format("type: none in the file; its keys say {}", type));
  }
  if (draft.get("uuid").is_none()) give_derived_uuid(draft, options);
  return {draft.finish(), std::move(draft.changed())};
}

}  // namespace reprise::migrate
