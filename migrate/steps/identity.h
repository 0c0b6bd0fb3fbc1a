// UUIDs for files that have none.
#pragma once

#include "migrate/steps/draft.h"
#include "migrate/steps/upgrade.h"

namespace reprise::migrate {

// Gives the draft the UUID that follows from its file: UUIDv5(NAMESPACE_URL,
// "sha256:" + hexadecimal digest), so that the same file gets the same one each
// time, and records it as the parent it was migrated from.
// Errors: kUsage when the digest of the file is not to be had.
void give_derived_uuid(Draft& draft, const UpgradeOptions& options);

}  // namespace reprise::migrate
