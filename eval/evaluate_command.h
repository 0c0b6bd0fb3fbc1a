// `eval`, from options to exit code.
#pragma once

#include "ckpt/base/io.h"
#include "eval/options.h"

namespace reprise::eval {

// Evaluates what the options name and prints a row, or with --json an object, for each. Returns 0,
// or 1 when --compare-origin finds a difference or nothing to compare with.
// Errors: those of loading and of reading data.
int run(const EvalOptions& options, Io& io);

}  // namespace reprise::eval
