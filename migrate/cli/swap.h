// Putting a verified result where it belongs, without a moment in which anything is lost.
#pragma once

#include "ckpt/base/sha256.h"
#include "migrate/cli/group_sync.h"

#include <filesystem>

namespace reprise::migrate {

// A name beside `target` for a result that has not been verified yet: same suffix,
// so that writers choose the same format. Removes the file when destroyed unpublished.
class Unpublished {
 public:
  explicit Unpublished(const std::filesystem::path& target);
  ~Unpublished();
  Unpublished(const Unpublished&) = delete;
  Unpublished& operator=(const Unpublished&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // Renames to the target and makes that durable. `replace` false: kIo when the
  // target exists by now. Errors: kIo; the target is then as it was.
  void publish(bool replace, GroupSync& syncs);

 private:
  std::filesystem::path target_;
  std::filesystem::path path_;
  bool published_ = false;
};

// Removes what publishing attempts of this machine's processes that are gone left in `directory`.
void remove_abandoned_results(const std::filesystem::path& directory);

// Makes the content of `source` safe at `backup`, durably: a hard link where both are on
// one file system, else a copy that is compared with `digest`. `source` stays. A backup that
// has this digest already is left alone; where it is no link of `source`, that costs reading it.
// Errors: kUsage when another file is there, or `backup` is `source` itself; kIo.
void keep_backup(const std::filesystem::path& source, const std::filesystem::path& backup,
                 const Digest& digest, GroupSync& syncs);

// unlink and fsync of the directory. Errors: kIo.
void remove_durably(const std::filesystem::path& file, GroupSync& syncs);

}  // namespace reprise::migrate
