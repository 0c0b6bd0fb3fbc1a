#include "repro/fingerprint/data_digest.h"

#include "ckpt/base/error.h"
#include "ckpt/base/parallel.h"
#include "ckpt/base/progress.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace reprise::fingerprint {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFilesPerTask = 16;

struct DataFile {
  std::string relative;
  std::uint64_t size;
  Digest digest;
};

class Walk {
 public:
  std::vector<DataFile> files;

  void directory(const fs::path& path, const std::string& relative) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) fail_errno(errno, printable(path.native()));
    const std::pair identity(status.st_dev, status.st_ino);
    if (std::find(above_.begin(), above_.end(), identity) != above_.end()) {
      fail(Code::kCorrupt, "{}: a link that leads back to a directory above it; remove it",
           printable(path.native()));
    }
    above_.push_back(identity);
    for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
      const std::string name = relative + entry.path().filename().native();
      if (stat(entry.path().c_str(), &status) != 0) {
        fail_errno(errno, printable(entry.path().native()));
      }
      if (S_ISDIR(status.st_mode)) {
        directory(entry.path(), name + "/");
      } else if (S_ISREG(status.st_mode)) {
        files.push_back({name, static_cast<std::uint64_t>(status.st_size), {}});
      }
    }
    above_.pop_back();
  }

 private:
  std::vector<std::pair<dev_t, ino_t>> above_;
};

}  // namespace

DataDigest digest_data(const std::string& name, const fs::path& path, unsigned jobs,
                       bool progress) {
  if (!fs::exists(path)) {
    fail(Code::kNotFound, "{}: no such file or directory", printable(path.native()));
  }
  Walk walk;
  if (fs::is_directory(path)) {
    walk.directory(path, "");
  } else {
    walk.files.push_back({"", fs::file_size(path), {}});
  }
  std::vector<DataFile>& files = walk.files;
  std::sort(files.begin(), files.end(),
            [](const DataFile& a, const DataFile& b) { return a.relative < b.relative; });
  DataDigest out{name, fs::absolute(path).lexically_normal().native(), files.size(), 0, {}};
  for (const DataFile& file : files) out.bytes += file.size;
  Progress bar("digest of " + name, out.bytes, ProgressUnit::kBytes, progress);
  parallel_for((files.size() + kFilesPerTask - 1) / kFilesPerTask, jobs, [&](std::size_t task) {
    const std::size_t end = std::min(files.size(), (task + 1) * kFilesPerTask);
    for (std::size_t i = task * kFilesPerTask; i < end; ++i) {
      files[i].digest = sha256_file(files[i].relative.empty() ? path : path / files[i].relative);
      bar.add(files[i].size);
    }
  });
  Sha256 all;
  for (const DataFile& file : files) {
    all.update(
        fmt::format("{}{}{}{}{}\n", file.relative, '\0', file.size, '\0', file.digest.hex()));
  }
  out.digest = all.finish();
  return out;
}

}  // namespace reprise::fingerprint
