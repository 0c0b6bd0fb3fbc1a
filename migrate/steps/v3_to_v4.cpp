// Version 4 guarantees `metrics`.
#include "ckpt/base/error.h"
#include "migrate/steps/draft.h"
#include "migrate/steps/plain_value.h"
#include "migrate/steps/step.h"

namespace reprise::migrate {

StepResult settle_metrics(const Document& document, const UpgradeOptions&) {
  Draft draft(document);
  draft.set_version(4);
  if (draft.get("metrics").is_none()) {
    draft.note("metrics: none in the file; marked unknown");
  } else {
    const PlainValue plain = plain_value(draft.arena(), draft.get("metrics"));
    draft.set("metrics", plain.value);
    if (plain.changed > 0) {
      draft.note(
          fmt::format("metrics: {} enum members and numpy scalars made plain", plain.changed));
    }
  }
  return {draft.finish(), std::move(draft.changed())};
}

}  // namespace reprise::migrate
