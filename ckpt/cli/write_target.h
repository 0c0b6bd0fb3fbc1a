// Where convert, extract and average write: a file that is not overwritten by accident.
#pragma once

#include "ckpt/base/io.h"
#include "ckpt/state/checkpoint.h"

#include <filesystem>

namespace reprise::cli {

struct WriteTarget {
  std::filesystem::path path;
  bool overwrite = false;
  bool lossy = false;  // leave out what the format cannot hold
};

// Throws kUsage when the suffix says no format, or the file exists and is not to be
// overwritten. Call it before any work is done.
void check_target(const WriteTarget& target);

// Writes, and says on stdout what was written and left out.
// `--json`: {"path", "bytes", "lost": []}.
// Errors: kUnsupported, listing it, when something would be lost without `lossy`;
// those of store::save_as().
void write_target(const Checkpoint& checkpoint, const WriteTarget& target, Io& io);

}  // namespace reprise::cli
