#include "migrate/cli/swap.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string>

namespace reprise::migrate {
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kWorkPrefix = ".reprise-migrate.tmp-";

fs::path parent_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

// Whether both are one name in one directory, whatever way leads there.
bool is_same_name(const fs::path& a, const fs::path& b) {
  std::error_code failure;
  return a.filename() == b.filename() && fs::equivalent(parent_of(a), parent_of(b), failure);
}

// Whether the file at `backup` has the content of `source` in its own right: what a
// symbolic link shows may be the very file that is about to go.
bool is_backup_of(const fs::path& backup, const fs::path& source, const Digest& digest) {
  struct stat there {
  }, here{};
  if (lstat(backup.c_str(), &there) == -1 || !S_ISREG(there.st_mode)) return false;
  if (stat(source.c_str(), &here) == 0 && there.st_dev == here.st_dev &&
      there.st_ino == here.st_ino)
    return true;
  return sha256_file(backup) == digest;
}

}  // namespace

Unpublished::Unpublished(const fs::path& target)
    : target_(target),
      // Writers choose the format by the suffix, so the name ends as the target's.
      path_(parent_of(target) /
            fmt::format("{}{}{}", kWorkPrefix, writer_mark(), target.extension().native())) {}

Unpublished::~Unpublished() {
  if (published_) return;
  std::error_code ignored;
  fs::remove(path_, ignored);
}

void Unpublished::publish(bool replace, GroupSync& syncs) {
  if (!replace) {
    rename_to_free(path_, target_);
  } else if (::rename(path_.c_str(), target_.c_str()) == -1) {
    fail_errno(errno, target_.native());
  }
  published_ = true;
  syncs.sync(parent_of(target_));
}

void remove_abandoned_results(const fs::path& directory) {
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(directory, failure)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kWorkPrefix)) continue;
    // Behind the mark come the suffix and, while the file is being written, more.
    const std::string mark = name.substr(kWorkPrefix.size());
    if (is_abandoned(mark.substr(0, mark.find('.')))) fs::remove(entry.path(), failure);
  }
}

void keep_backup(const fs::path& source, const fs::path& backup, const Digest& digest,
                 GroupSync& syncs) {
  make_directories(parent_of(backup));
  if (is_same_name(source, backup))
    fail(Code::kUsage, "{}: is the original itself; choose another --backup directory",
         backup.native());
  // Where the source is a symbolic link, the file behind it: the link would lead nowhere from here.
  if (linkat(AT_FDCWD, source.c_str(), AT_FDCWD, backup.c_str(), AT_SYMLINK_FOLLOW) == 0)
    return syncs.sync(parent_of(backup));
  if (errno == EEXIST) {
    if (is_backup_of(backup, source, digest)) return;
    fail(Code::kUsage, "{}: another file is there; choose another --backup directory",
         backup.native());
  }
  // Another file system, or one without links.
  copy_durably(source, backup, digest);
}

void remove_durably(const fs::path& file, GroupSync& syncs) {
  if (::unlink(file.c_str()) == -1) fail_errno(errno, file.native());
  syncs.sync(parent_of(file));
}

}  // namespace reprise::migrate
