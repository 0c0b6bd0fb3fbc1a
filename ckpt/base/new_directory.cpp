#include "ckpt/base/new_directory.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>

namespace reprise {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLongestPart = 100;  // of the name, so that the mark fits behind it

fs::path without_slash(const fs::path& target) {
  const fs::path absolute = fs::absolute(target).lexically_normal();
  return absolute.has_filename() ? absolute : absolute.parent_path();
}

}  // namespace

NewDirectory::NewDirectory(const fs::path& target) : target_(without_slash(target)) {
  make_directories(target_.parent_path());
  const fs::path beside =
      target_.parent_path() /
      fmt::format(".{}.tmp-{}", target_.filename().native().substr(0, kLongestPart), writer_mark());
  if (::mkdir(beside.c_str(), 0755) != 0) fail_errno(errno, printable(target_.native()));
  path_ = beside;
}

NewDirectory::~NewDirectory() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

void NewDirectory::publish() {
  if (::rename(path_.c_str(), target_.c_str()) != 0) fail_errno(errno, printable(target_.native()));
  path_.clear();
  sync_directory(target_.parent_path());
}

}  // namespace reprise
