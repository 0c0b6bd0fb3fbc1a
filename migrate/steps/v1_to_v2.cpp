// Version 2 stopped pickling references to the project's enum classes, which had
// moved and made most version-1 files unreadable for Python.
#include "ckpt/base/error.h"
#include "migrate/steps/draft.h"
#include "migrate/steps/plain_value.h"
#include "migrate/steps/step.h"

namespace reprise::migrate {

StepResult make_values_plain(const Document& document, const UpgradeOptions&) {
  Draft draft(document);
  draft.set_version(2);
  for (const std::string_view key : {"type", "arch", "config"}) {
    const PlainValue plain = plain_value(draft.arena(), draft.get(key));
    if (plain.changed == 0) continue;
    draft.set(key, plain.value);
    draft.note(fmt::format("{}: {} enum members, namespaces and numpy scalars made plain", key,
                           plain.changed));
  }
  return {draft.finish(), std::move(draft.changed())};
}

}  // namespace reprise::migrate
