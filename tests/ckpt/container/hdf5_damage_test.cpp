// Every single damaged byte and every truncation of a small file is noticed.
#include "ckpt/base/error.h"
#include "ckpt/container/hdf5.h"
#include "ckpt/container/open.h"
#include "tests/ckpt/container/sample.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace reprise::container {
namespace {

class Hdf5Damage : public testing::Test {
 protected:
  // In memory where there is such a file system: thousands of small files.
  ScratchFolder folder_{
      std::filesystem::exists("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path()};
  std::filesystem::path path_ = folder_ / "a.h5";
  std::string whole_;

  void SetUp() override {
    write_hdf5(path_, small_document());
    whole_ = read_file(path_);
    ASSERT_TRUE(verify(path_).ok());
  }
};

TEST_F(Hdf5Damage, EveryFlippedByteIsNoticed) {
  const int fd = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  for (std::size_t i = 0; i < whole_.size(); ++i) {
    const auto flipped = static_cast<char>(whole_[i] ^ (1 << (i % 8)));
    ASSERT_EQ(pwrite(fd, &flipped, 1, static_cast<off_t>(i)), 1);
    const VerifyReport report = verify(path_, {.jobs = 1});
    EXPECT_FALSE(report.ok()) << "byte " << i;
    for (const Problem& problem : report.problems) {
      EXPECT_NE(problem.message.find(path_.string()), std::string::npos);
    }
    ASSERT_EQ(pwrite(fd, &whole_[i], 1, static_cast<off_t>(i)), 1);
  }
  close(fd);
  EXPECT_TRUE(verify(path_).ok());
}

TEST_F(Hdf5Damage, EveryTruncationIsRefused) {
  for (std::size_t length = whole_.size(); length-- > 0;) {
    std::filesystem::resize_file(path_, length);
    try {
      open(path_, {Verify::kNone});
      FAIL() << length;
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == Code::kCorrupt || error.code() == Code::kIncomplete)
          << error.what();
    }
    if (length % 16 == 0) {
      EXPECT_FALSE(verify(path_, {.jobs = 1}).ok()) << length;
    }
  }
}

TEST_F(Hdf5Damage, AnythingAppendedIsRefused) {
  write_file(path_, whole_ + "x");
  EXPECT_THROW(Hdf5Reader::open(path_), Error);
  write_file(path_, whole_ + std::string(4096, '\0'));
  EXPECT_THROW(Hdf5Reader::open(path_), Error);
}

TEST_F(Hdf5Damage, AFileWithoutItsFirstBlockIsIncomplete) {
  std::string bytes = whole_;
  bytes.replace(0, 4096, 4096, '\0');
  write_file(path_, bytes);
  // What is left is the HDF5 of a file whose writer was killed before the last write.
  try {
    Hdf5Reader::open(path_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kIncomplete);
  }
  write_file(path_, std::string(8192, '\0'));
  const VerifyReport report = verify(path_);
  ASSERT_EQ(report.problems.size(), 1u);
  EXPECT_EQ(report.problems[0].code, Code::kIncomplete);
}

TEST_F(Hdf5Damage, TheDamagedTensorIsNamed) {
  const TensorEntry entry = *Hdf5Reader::open(path_).find("model/fc.bias");
  std::string bytes = whole_;
  bytes[entry.offset_bytes + 3] ^= 4;
  write_file(path_, bytes);
  const VerifyReport report = verify(path_);
  ASSERT_EQ(report.problems.size(), 1u);
  EXPECT_EQ(report.problems[0].tensor, "model/fc.bias");
  EXPECT_EQ(report.problems[0].offset_bytes, entry.offset_bytes);
  try {
    open(path_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kCorrupt);
    EXPECT_NE(std::string_view(error.what()).find("model/fc.bias"), std::string_view::npos);
    EXPECT_NE(std::string_view(error.what()).find(fmt::format("byte {}", entry.offset_bytes)),
              std::string_view::npos);
  }
}

}  // namespace
}  // namespace reprise::container
