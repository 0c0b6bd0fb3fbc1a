#include "ckpt/store/run_directory.h"
#include "ckpt/store/save.h"
#include "tests/ckpt/cli/ckpt_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>

namespace reprise::cli {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

class BadInput : public testing::Test {
 protected:
  void SetUp() override {
    fs::rename(store::save(sample::model(1, 3, 0.25), scratch_.path()).path, scratch_ / "a.h5");
  }
  Outcome run(std::vector<std::string> arguments, void (*before)() = nullptr) const {
    return ckpt(scratch_.path(), std::move(arguments), before);
  }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& item : fs::directory_iterator(scratch_.path()))
      names.push_back(item.path().filename());
    std::ranges::sort(names);
    return names;
  }
  const sample::Scratch scratch_;
};

TEST_F(BadInput, EachKindHasItsExitCodeForEveryReader) {
  std::ofstream(scratch_ / "empty.h5").flush();
  std::ofstream(scratch_ / "foreign.h5") << "%PDF-1.7 not a checkpoint, whatever its name says";
  fs::copy_file(scratch_ / "a.h5", scratch_ / "short.h5");
  fs::resize_file(scratch_ / "short.h5", fs::file_size(scratch_ / "a.h5") - 100);
  fs::create_directory(scratch_ / "folder.h5");
  mkfifo((scratch_ / "fifo.h5").c_str(), 0600);
  const std::pair<std::string, int> cases[] = {
      {"none.h5", 10},  {"empty.h5", 14}, {"foreign.h5", 12},  {"short.h5", 12},
      {"folder.h5", 2}, {"fifo.h5", 12},  {"none/<best>", 10}, {"<nothing>", 2}};
  for (const auto& [file, code] : cases) {
    for (const std::vector<std::string>& command : {std::vector<std::string>{"show", file},
                                                    {"ls", file},
                                                    {"stats", file},
                                                    {"diff", file, "a.h5"},
                                                    {"convert", file, "out.h5"},
                                                    {"extract", file, "out.h5", "--take", "model"},
                                                    {"average", "a.h5", file, "out.h5"}}) {
      const Outcome outcome = run(command);
      EXPECT_EQ(outcome.code, code) << command[0] << ' ' << file << ": " << outcome.err;
      EXPECT_EQ(outcome.out, "") << command[0] << ' ' << file;
      EXPECT_TRUE(outcome.err.starts_with("ckpt " + command[0] + ": ")) << outcome.err;
      EXPECT_FALSE(fs::exists(scratch_ / "out.h5"));
    }
  }
}

TEST_F(BadInput, MessageNamesFileFaultAndNextAct) {
  EXPECT_EQ(run({"show", "none.h5"}).err,
            "ckpt show: not found: none.h5: No such file or directory\n");
  fs::create_directory(scratch_ / "d");
  EXPECT_EQ(
      run({"show", "d"}).err,
      "ckpt show: usage: d: is a directory, a checkpoint was expected; use d/<last> or d/<best>\n"
      "ckpt show --help says more\n");
}

TEST_F(BadInput, NewerContainerIsUnsupported) {
  // The version of the container follows the magic in the first block, whose digest would
  // also fail: a newer version has to be recognised before that.
  std::string bytes = content(scratch_ / "a.h5");
  bytes[8] = 99;
  bytes[12] = 99;
  std::ofstream(scratch_ / "newer.h5", std::ios::binary) << bytes;
  const Outcome outcome = run({"show", "newer.h5"});
  EXPECT_THAT(outcome.code, testing::AnyOf(12, 13)) << outcome.err;
}

TEST_F(BadInput, OutputThatExistsIsKept) {
  const std::string before = content(scratch_ / "a.h5");
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"convert", "a.h5", "a.h5"},
        {"extract", "a.h5", "a.h5", "--take", "model"},
        {"average", "a.h5", "a.h5", "a.h5"}}) {
    const Outcome outcome = run(command);
    EXPECT_EQ(outcome.code, 2) << command[0];
    EXPECT_THAT(outcome.err, HasSubstr("a.h5: exists; choose another name, or give --overwrite"));
  }
  EXPECT_EQ(content(scratch_ / "a.h5"), before);
}

TEST_F(BadInput, MissingFolderOfTheOutputIsNotFound) {
  EXPECT_EQ(run({"convert", "a.h5", "none/out.h5"}).code, 10);
}

TEST_F(BadInput, UnknownSuffixIsAUsageError) {
  const Outcome outcome = run({"convert", "a.h5", "out.onnx"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("use .h5, .pth or .safetensors"));
}

TEST_F(BadInput, FullDiskLeavesNothingBehind) {
  const auto before = files();
  for (const char* out : {"out.h5", "out.safetensors"}) {
    const Outcome outcome = run({"convert", "a.h5", out, "--lossy"}, [] {
      std::signal(SIGXFSZ, SIG_IGN);
      const rlimit limit{400, 400};
      setrlimit(RLIMIT_FSIZE, &limit);
    });
    EXPECT_EQ(outcome.code, 11) << out;
    EXPECT_EQ(files(), before);
  }
}

TEST_F(BadInput, ReadOnlyFolderIsAnIoError) {
  fs::create_directory(scratch_ / "ro");
  fs::permissions(scratch_ / "ro", fs::perms::owner_read | fs::perms::owner_exec);
  const Outcome outcome = run({"convert", "a.h5", "ro/out.h5"}, [] {
    // So that it also holds for root. Without root there is no such right, and no need.
    prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE);
  });
  EXPECT_EQ(outcome.code, 11);
  EXPECT_THAT(outcome.err, HasSubstr("choose a directory that you may write to"));
}

TEST_F(BadInput, FullStdoutIsAnIoError) {
  // tree --json writes more than a buffer holds: the write that fails is not the last.
  const std::vector<std::vector<std::string>> commands = {
      {"ls", "a.h5"}, {"show", "a.h5"}, {"tree", "a.h5", "--json"}};
  for (const auto& command : commands) {
    const Outcome outcome = run(command, [] {
      const int full = open("/dev/full", O_WRONLY);
      if (full != -1) dup2(full, 1);
    });
    EXPECT_EQ(outcome.code, 11) << command[0];
    EXPECT_THAT(outcome.err, HasSubstr("standard output: No space left on device")) << command[0];
  }
}

TEST_F(BadInput, FullStderrChangesNoExitCode) {
  const Outcome outcome = run({"show", "none.h5"}, [] {
    const int full = open("/dev/full", O_WRONLY);
    if (full != -1) dup2(full, 2);
  });
  EXPECT_EQ(outcome.code, 10);
}

TEST_F(BadInput, WithoutMoreThreadsTheOnesThereAreDoTheWork) {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // these map terabytes
  const Outcome outcome = run({"stats", "a.h5", "--jobs", "1024"}, [] {
    // Address space for a few stacks of 8 MiB.
    const rlimit stack{8 << 20, 8 << 20}, space{200 << 20, 200 << 20};
    setrlimit(RLIMIT_STACK, &stack);
    setrlimit(RLIMIT_AS, &space);
  });
  EXPECT_EQ(outcome.code, 0) << outcome.err;
#endif
}

}  // namespace
}  // namespace reprise::cli
