// Up to version 4 the optimizer and the loss were pickled objects, config and
// metrics pickled values; version 5 stores state dicts and JSON.
#include "migrate/steps/draft.h"
#include "migrate/steps/settle_state.h"
#include "migrate/steps/step.h"

namespace reprise::migrate {

StepResult make_state_dicts(const Document& document, const UpgradeOptions&) {
  Draft draft(document);
  draft.set_version(5);
  settle_optimizer(draft);
  settle_loss(draft);
  settle_json(draft);
  return {draft.finish(), std::move(draft.changed())};
}

}  // namespace reprise::migrate
