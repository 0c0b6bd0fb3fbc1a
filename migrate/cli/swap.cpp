#include "migrate/cli/swap.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/base/uuid.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <vector>

namespace reprise::migrate {
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kWorkPrefix = ".reprise-migrate.tmp-";

fs::path parent_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

void copy_durably(const fs::path& source, const fs::path& target) {
  const File in = File::open(source);
  DurableFile out(target);
  std::vector<std::byte> buffer(4 << 20);
  const std::uint64_t size = in.size();
  for (std::uint64_t offset = 0; offset < size;) {
    const auto length = std::min<std::uint64_t>(buffer.size(), size - offset);
    in.read(offset, std::span(buffer).first(length));
    out.file().write(offset, Bytes(buffer).first(length));
    offset += length;
  }
  out.publish_new();
}

}  // namespace

Unpublished::Unpublished(const fs::path& target)
    : target_(target),
      // Writers choose the format by the suffix, so the name ends as the target's.
      path_(parent_of(target) / fmt::format("{}{}-{}{}", kWorkPrefix, getpid(),
                                            Uuid::random().text().substr(0, 8),
                                            target.extension().native())) {}

Unpublished::~Unpublished() {
  std::error_code ignored;
  fs::remove(path_, ignored);
}

void Unpublished::publish(bool replace) const {
  const unsigned flags = replace ? 0 : RENAME_NOREPLACE;
  if (renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target_.c_str(), flags) == -1)
    fail_errno(errno, target_.native());
  sync_directory(parent_of(target_));
}

void remove_abandoned_results(const fs::path& directory) {
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(directory, failure)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kWorkPrefix)) continue;
    pid_t pid = 0;
    std::from_chars(name.data() + kWorkPrefix.size(), name.data() + name.size(), pid);
    const bool alive = pid == getpid() || kill(pid, 0) == 0 || errno == EPERM;
    if (pid > 0 && !alive) fs::remove_all(entry.path(), failure);
  }
}

void keep_backup(const fs::path& source, const fs::path& backup, const Digest& digest) {
  make_directories(parent_of(backup));
  if (::link(source.c_str(), backup.c_str()) == 0) return sync_directory(parent_of(backup));
  if (errno != EEXIST && errno != EXDEV && errno != EPERM && errno != EMLINK)
    fail_errno(errno, backup.native());
  if (errno == EEXIST) {
    if (sha256_file(backup) == digest) return;
    fail(Code::kUsage, "{}: another file is there; choose another --backup directory",
         backup.native());
  }
  copy_durably(source, backup);
  if (sha256_file(backup) != digest)
    fail(Code::kIo, "{}: the copy differs from {}", backup.native(), source.native());
}

void remove_durably(const fs::path& file) {
  if (::unlink(file.c_str()) == -1) fail_errno(errno, file.native());
  sync_directory(parent_of(file));
}

}  // namespace reprise::migrate
