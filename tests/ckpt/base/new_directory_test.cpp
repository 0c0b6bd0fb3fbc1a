#include "ckpt/base/new_directory.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/base/uuid.h"

#include <gtest/gtest.h>

namespace reprise {
namespace {

namespace fs = std::filesystem;

class NewDirectoryTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directory(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  std::ptrdiff_t entries() const {
    return std::distance(fs::directory_iterator(folder_), fs::directory_iterator());
  }
  fs::path folder_ = fs::temp_directory_path() / ("reprise-new-" + Uuid::random().text());
};

TEST_F(NewDirectoryTest, AppearsWholeUnderTheNameThatWasAskedFor) {
  for (const char* name : {"plain", "slash/", "deep/er/one"}) {
    NewDirectory made(folder_ / name);
    write_text(made.path() / "file", "content");
    EXPECT_FALSE(fs::exists(folder_ / name / "file"));
    made.publish();
    EXPECT_EQ(read_text(folder_ / name / "file"), "content");
  }
  EXPECT_EQ(entries(), 3);
}

TEST_F(NewDirectoryTest, UnpublishedLeavesNothing) {
  {
    NewDirectory made(folder_ / "a");
    fs::create_directories(made.path() / "x/y");
    write_text(made.path() / "x/y/z", "content");
  }
  EXPECT_EQ(entries(), 0);
}

TEST_F(NewDirectoryTest, WhatAppearedMeanwhileStays) {
  NewDirectory made(folder_ / "a");
  fs::create_directory(folder_ / "a");
  write_text(folder_ / "a/precious", "mine");
  try {
    made.publish();
    FAIL() << "replaced it";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kIo);
  }
  EXPECT_EQ(read_text(folder_ / "a/precious"), "mine");
}

TEST_F(NewDirectoryTest, ANameOfTheLongestLengthFits) {
  const std::string name(255, 'n');
  NewDirectory made(folder_ / name);
  made.publish();
  EXPECT_TRUE(fs::is_directory(folder_ / name));
}

}  // namespace
}  // namespace reprise
