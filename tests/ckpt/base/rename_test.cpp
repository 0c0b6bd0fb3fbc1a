// Publishing on a file system whose rename knows no flags, as NFS.
#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/base/uuid.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace {
int refused = 0;
}

// In place of the C library's.
extern "C" int renameat2(int from_dir, const char* from, int to_dir, const char* to,
                         unsigned flags) noexcept {
  if (flags != 0) {
    ++refused;
    errno = EINVAL;
    return -1;
  }
  return static_cast<int>(syscall(SYS_renameat2, from_dir, from, to_dir, to, flags));
}

namespace reprise {
namespace {
namespace fs = std::filesystem;

class RenameWithoutFlags : public testing::Test {
 protected:
  void SetUp() override { fs::create_directory(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  bool publish_new(std::string_view text) const {
    try {
      DurableFile file(folder_ / "a");
      file.file().write(0, as_bytes(text));
      file.publish_new();
      return true;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kIo);
      return false;
    }
  }
  std::ptrdiff_t files() const { return std::distance(fs::directory_iterator(folder_), {}); }
  fs::path folder_ = fs::temp_directory_path() / ("reprise-rename-" + Uuid::random().text());
};

TEST_F(RenameWithoutFlags, ANewFileGetsItsNameAndReplacesNone) {
  EXPECT_TRUE(publish_new("first"));
  EXPECT_EQ(files(), 1) << "the temporary name is left";
  EXPECT_FALSE(publish_new("second"));
  EXPECT_EQ(read_text(folder_ / "a"), "first");
  EXPECT_EQ(files(), 1);
  EXPECT_EQ(refused, 2) << "the test did not see the calls";
}

}  // namespace
}  // namespace reprise
