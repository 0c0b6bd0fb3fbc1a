// Which head architecture a checkpoint has.
#pragma once

#include "migrate/steps/draft.h"
#include "migrate/steps/upgrade.h"

namespace reprise::migrate {

// Fills arch_head where it is missing: from the option, else from the keys of the
// head (a single `linear` is the simple one). Renames what was renamed since.
// Errors: kMismatch when the file and the option contradict each other.
void settle_head_architecture(Draft& draft, const UpgradeOptions& options);

}  // namespace reprise::migrate
