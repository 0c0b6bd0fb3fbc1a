// torch.save(model): a whole pickled module, whose class is usually gone.
#include "migrate/steps/dialect.h"
#include "migrate/steps/draft.h"
#include "migrate/steps/object_state.h"

namespace reprise::migrate {

namespace {

bool fits(const Value& root, bool) { return is_module_object(root); }

StepResult adapt(const Document& document, const UpgradeOptions&) {
  Draft draft(document, "model");
  draft.set("model", document.root);  // the normal form turns it into its state dict
  return {draft.finish(), std::move(draft.changed())};
}

}  // namespace

constinit const Dialect kModule = {"module", fits, adapt};

}  // namespace reprise::migrate
