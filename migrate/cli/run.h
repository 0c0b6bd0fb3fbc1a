// The whole of `migrate`: a batch from plan to report.
#pragma once

#include "ckpt/base/io.h"
#include "migrate/cli/batch.h"

namespace reprise::migrate {

// Returns the exit code: 0, or 1 when a file failed. Files are done side by side; the
// order of the report is that of the plan.
int run(const MigrateOptions& options, Io& io);

}  // namespace reprise::migrate
