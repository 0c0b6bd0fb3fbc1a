#include "ckpt/base/file.h"

#include "ckpt/base/error.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

namespace reprise {
namespace {

namespace fs = std::filesystem;

class FileTest : public testing::Test {
 protected:
  FileTest() {
    std::string name = (fs::temp_directory_path() / "reprise-file-XXXXXX").native();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    folder_ = name;
  }
  ~FileTest() override { fs::remove_all(folder_); }
  std::size_t count() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  static Code code_of(const std::function<void()>& body) {
    try {
      body();
    } catch (const Error& error) {
      return error.code();
    }
    return Code{0};
  }
  fs::path folder_;
};

TEST_F(FileTest, PublishedTextReplacesTheOldOne) {
  write_text(folder_ / "a", "old");
  write_text(folder_ / "a", "new text");
  EXPECT_EQ(read_text(folder_ / "a"), "new text");
  EXPECT_EQ(count(), 1U);
}

TEST_F(FileTest, UnpublishedFileLeavesTheTargetAndNoTrace) {
  write_text(folder_ / "a", "old");
  {
    DurableFile file(folder_ / "a");
    file.file().write(0, as_bytes("half"));
    EXPECT_EQ(count(), 2U);
  }
  EXPECT_EQ(read_text(folder_ / "a"), "old");
  EXPECT_EQ(count(), 1U);
}

TEST_F(FileTest, ANameOnTheWayIsWrittenDirectlyAndRemovedWhenItFails) {
  { DurableFile(folder_ / "b", false).file().write(0, as_bytes("half")); }
  EXPECT_EQ(count(), 0U);
  {
    DurableFile file(folder_ / "a", false);
    EXPECT_EQ(code_of([&] { DurableFile(folder_ / "a", false); }), Code::kIo) << "it is taken";
    file.file().write(0, as_bytes("text"));
    EXPECT_EQ(count(), 1U);
    file.publish();
  }
  EXPECT_EQ(read_text(folder_ / "a"), "text");
  EXPECT_EQ(count(), 1U);
}

TEST_F(FileTest, ErrorsNameTheTargetNotTheTemporaryFile) {
  DurableFile file(folder_ / "a");
  std::vector<std::byte> nothing(1);
  try {
    file.file().read(0, nothing);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find((folder_ / "a").native() + ": "), std::string::npos)
        << error.what();
  }
}

TEST_F(FileTest, PublishNewNeverReplaces) {
  write_text(folder_ / "a", "old");
  {
    DurableFile file(folder_ / "a");
    file.file().write(0, as_bytes("new"));
    EXPECT_EQ(code_of([&] { file.publish_new(); }), Code::kIo);
  }
  EXPECT_EQ(read_text(folder_ / "a"), "old");
  EXPECT_EQ(count(), 1U);
}

TEST_F(FileTest, KilledWriterLeavesOnlyATemporaryThatTheNextRemoves) {
  write_text(folder_ / "a", "old");
  const pid_t child = fork();
  if (child == 0) {
    DurableFile file(folder_ / "a");
    file.file().write(0, as_bytes("half"));
    kill(getpid(), SIGKILL);
  }
  waitpid(child, nullptr, 0);
  EXPECT_EQ(read_text(folder_ / "a"), "old");
  EXPECT_EQ(count(), 2U);
  EXPECT_EQ(remove_abandoned(folder_), 1);
  EXPECT_EQ(count(), 1U);
}

TEST_F(FileTest, TemporariesOfTheLivingOfOtherHostsAndFilesOfTheUserStay) {
  const DurableFile mine(folder_ / "a");
  for (const char* name : {"x.tmp-1", "x.tmp-99999999-short", "x.tmp-abc-12345678",
                           "x.tmp-99999999-0123abcd-12345678", "tmp-99999999-12345678", "notes"}) {
    std::ofstream(folder_ / name) << "mine";
  }
  EXPECT_EQ(remove_abandoned(folder_), 0);
  EXPECT_EQ(count(), 7U);
}

TEST_F(FileTest, FullDiskIsAnIoErrorAndKeepsTheTarget) {
  write_text(folder_ / "a", "old");
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1000, 1000};
    setrlimit(RLIMIT_FSIZE, &limit);
    _exit(static_cast<int>(code_of([&] { write_text(folder_ / "a", std::string(5000, 'x')); })));
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 11);
  EXPECT_EQ(read_text(folder_ / "a"), "old");
  EXPECT_EQ(count(), 1U);
}

TEST_F(FileTest, WhatIsNoRegularFileIsRefusedWithoutBlocking) {
  mkfifo((folder_ / "fifo").c_str(), 0600);
  EXPECT_EQ(code_of([&] { File::open(folder_ / "fifo"); }), Code::kCorrupt);
  EXPECT_EQ(code_of([&] { File::open(folder_); }), Code::kCorrupt);
  EXPECT_EQ(code_of([] { File::open("/dev/zero"); }), Code::kCorrupt);
  EXPECT_EQ(code_of([&] { File::open(folder_ / "none"); }), Code::kNotFound);
  EXPECT_EQ(code_of([&] { DurableFile(folder_ / "none/a"); }), Code::kNotFound);
}

TEST_F(FileTest, ReadingPastTheEndIsCorrupt) {
  write_text(folder_ / "a", "abc");
  const File file = File::open(folder_ / "a");
  std::array<std::byte, 2> two{};
  file.read(1, two);
  EXPECT_EQ(as_text(two), "bc");
  EXPECT_EQ(code_of([&] { file.read(2, two); }), Code::kCorrupt);
}

TEST_F(FileTest, MappedFileShowsItsBytesAlsoAfterRelease) {
  const std::string text(100'000, 'm');
  write_text(folder_ / "a", text);
  const auto mapped = MappedFile::open(folder_ / "a");
  EXPECT_EQ(as_text(mapped->bytes()), text);
  mapped->release(100, 90'000);
  EXPECT_EQ(as_text(mapped->bytes()), text);
  write_text(folder_ / "empty", "");
  EXPECT_TRUE(MappedFile::open(folder_ / "empty")->bytes().empty());
}

TEST_F(FileTest, ReadingPastTheEndOfAMappedFileIsCorruptWhateverItsSize) {
  for (const std::size_t size : {std::size_t{10}, std::size_t{100'000}}) {
    write_text(folder_ / "a", std::string(size, 'm'));
    const auto mapped = MappedFile::open(folder_ / "a");
    std::vector<std::byte> out(8);
    mapped->read(size - 8, out);
    EXPECT_EQ(out.back(), std::byte{'m'});
    EXPECT_EQ(code_of([&] { mapped->read(size - 4, out); }), Code::kCorrupt) << size;
    EXPECT_EQ(code_of([&] { mapped->read(size + 4096, out); }), Code::kCorrupt) << size;
  }
}

TEST_F(FileTest, ReadingPastTheCacheGivesTheSameBytesWhereverTheyLie) {
  std::string text(100'000, ' ');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 7 % 251);
  write_text(folder_ / "a", text);
  const auto mapped = MappedFile::open(folder_ / "a", MappedFile::Reads::kPastCache);
  std::vector<std::byte> memory(110'000);
  const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
  const std::size_t page = (4096 - address % 4096) % 4096;
  for (const std::size_t shift : {page, page + 1}) {
    for (const std::size_t from : {0u, 4096u, 8197u}) {
      for (const std::size_t length :
           {std::size_t{1}, std::size_t{4096}, std::size_t{20'000}, text.size() - from}) {
        const MutableBytes out = std::span(memory).subspan(shift, length);
        mapped->read(from, out);
        EXPECT_EQ(as_text(out), std::string_view(text).substr(from, length))
            << from << ' ' << length;
      }
      EXPECT_EQ(
          code_of([&] { mapped->read(from, std::span(memory).subspan(shift, 100'001 - from)); }),
          Code::kCorrupt);
    }
  }
}

TEST_F(FileTest, PagesThatAreGoneAreAnErrorAndNoSignal) {
  write_text(folder_ / "a", std::string(100'000, 'm'));
  const auto mapped = MappedFile::open(folder_ / "a");
  EXPECT_NO_THROW(mapped->populate(5000, 90'000));
  fs::resize_file(folder_ / "a", 5000);
  EXPECT_NO_THROW(mapped->populate(100, 4000));
  EXPECT_EQ(code_of([&] { mapped->populate(100, 90'000); }), Code::kCorrupt);
}

TEST_F(FileTest, MarkOfAWriterTellsWhetherItIsGone) {
  EXPECT_FALSE(is_abandoned(writer_mark()));
  const pid_t child = fork();
  if (child == 0) _exit(0);
  waitpid(child, nullptr, 0);
  const std::string mark = writer_mark();
  const std::string rest = mark.substr(mark.find('-'));
  EXPECT_TRUE(is_abandoned(std::to_string(child) + rest));
  EXPECT_FALSE(is_abandoned(std::to_string(child) + "-00000000" + rest.substr(9)))
      << "another machine's process may live";
  EXPECT_FALSE(is_abandoned(""));
}

TEST_F(FileTest, LimitOnTextHolds) {
  write_text(folder_ / "a", "12345");
  EXPECT_EQ(read_text(folder_ / "a", 5), "12345");
  EXPECT_EQ(code_of([&] { read_text(folder_ / "a", 4); }), Code::kCorrupt);
}

TEST_F(FileTest, MakesMissingParents) {
  make_directories(folder_ / "a/b/c");
  EXPECT_TRUE(fs::is_directory(folder_ / "a/b/c"));
  EXPECT_NO_THROW(make_directories(folder_ / "a/b/c"));
  write_text(folder_ / "file", "x");
  EXPECT_EQ(code_of([&] { make_directories(folder_ / "file"); }), Code::kIo);
}

}  // namespace
}  // namespace reprise
