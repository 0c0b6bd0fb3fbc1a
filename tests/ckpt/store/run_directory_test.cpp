#include "ckpt/store/run_directory.h"

#include "ckpt/base/error.h"
#include "ckpt/store/save.h"
#include "tests/ckpt/store/sample_checkpoint.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

namespace reprise::store {
namespace {

namespace fs = std::filesystem;

Code code_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.code();
  }
  return Code{0};
}

TEST(RunDirectory, CreatesItsLayout) {
  const sample::Scratch root;
  const RunDirectory run = RunDirectory::create(root / "a/b");
  for (const char* name : {"checkpoints", "plots", "tensorboard"}) {
    EXPECT_TRUE(fs::is_directory(run.file(name))) << name;
  }
  EXPECT_FALSE(run.info().run.is_nil());
  EXPECT_TRUE(RunDirectory::is_run(root / "a/b"));
}

TEST(RunDirectory, NeverOverwritesAnother) {
  const sample::Scratch root;
  RunDirectory::create(root / "a");
  EXPECT_EQ(code_of([&] { RunDirectory::create(root / "a"); }), Code::kUsage);
  std::ofstream(root / "file") << "x";
  EXPECT_EQ(code_of([&] { RunDirectory::create(root / "file"); }), Code::kUsage);
  fs::create_directory(root / "empty");
  EXPECT_NO_THROW(RunDirectory::create(root / "empty"));
  fs::create_symlink(root / "nowhere", root / "link");
  EXPECT_EQ(code_of([&] { RunDirectory::create(root / "link"); }), Code::kUsage);
}

TEST(RunDirectory, TwoRunsOfOneSecondGetTwoNames) {
  const sample::Scratch root;
  const RunDirectory first = RunDirectory::create_dated(root.path(), "road");
  const RunDirectory second = RunDirectory::create_dated(root.path(), "road");
  EXPECT_NE(first.path(), second.path());
  EXPECT_EQ(RunDirectory::find_all(root.path()).size(), 2U);
  EXPECT_EQ(code_of([&] { RunDirectory::create_dated(root.path(), "a/b"); }), Code::kUsage);
}

TEST(RunDirectory, StateFollowsTheLock) {
  const sample::Scratch root;
  const RunDirectory run = RunDirectory::create(root / "a");
  const Uuid uuid = run.info().run;
  {
    RunLock lock = run.lock();
    EXPECT_EQ(run.info().state, RunState::kRunning);
    EXPECT_EQ(run.info().pid, getpid());
    EXPECT_EQ(code_of([&] { RunLock second = run.lock(); }), Code::kMismatch);
    lock.finish(RunState::kStopped);
    EXPECT_EQ(run.info().state, RunState::kStopped);
  }
  { RunLock lock = run.lock(); }
  EXPECT_EQ(run.info().state, RunState::kInterrupted);
  RunLock lock = run.lock();
  lock.finish(RunState::kFinished);
  EXPECT_EQ(run.info().state, RunState::kFinished);
  EXPECT_EQ(run.info().run, uuid);
}

TEST(RunDirectory, AFailedRunSaysWhyUntilItGoesOn) {
  const sample::Scratch root;
  const RunDirectory run = RunDirectory::create(root / "a");
  RunLock failed = run.lock();
  failed.finish(RunState::kFailed, "update 7: disk \x01 full\nand more");
  EXPECT_EQ(run.info().state, RunState::kFailed);
  EXPECT_EQ(run.info().reason, "update 7: disk \\x01 full");
  RunLock again = run.lock();
  EXPECT_EQ(run.info().state, RunState::kRunning);
  EXPECT_EQ(run.info().reason, "");
  again.finish(RunState::kFinished);
  EXPECT_EQ(run.info().reason, "");
}

TEST(RunDirectory, KilledProcessLeavesAnInterruptedRun) {
  const sample::Scratch root;
  const RunDirectory run = RunDirectory::create(root / "a");
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const RunLock lock = run.lock();
    if (write(ready[1], "x", 1) != 1) _exit(1);
    pause();
    _exit(0);
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_EQ(run.info().state, RunState::kRunning);
  EXPECT_EQ(run.info().pid, child);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_EQ(run.info().state, RunState::kInterrupted);
  close(ready[0]);
  close(ready[1]);
}

TEST(RunDirectory, OpensFoldersThatMerelyHoldCheckpoints) {
  const sample::Scratch root;
  EXPECT_EQ(code_of([&] { RunDirectory::open(root.path()); }), Code::kMismatch);
  EXPECT_EQ(code_of([&] { RunDirectory::open(root / "none"); }), Code::kNotFound);
  save(sample::model(1, 1, 0.5), root.path());
  const RunDirectory run = RunDirectory::open(root.path());
  EXPECT_EQ(run.checkpoints(), root.path());
  EXPECT_EQ(run.info().state, RunState::kUnknown);
  EXPECT_EQ(run.list().size(), 1U);
}

TEST(RunDirectory, LooseFilesMakeNoRun) {
  const sample::Scratch root;
  for (const char* name : {"a.h5", "thesis.pth", "x.safetensors", "model.ckpt", "epoch_3.pt"}) {
    std::ofstream(root / name) << "mine";
  }
  EXPECT_EQ(code_of([&] { RunDirectory::open(root.path()); }), Code::kMismatch);
  EXPECT_TRUE(RunDirectory::find_all(root.path()).empty());
  fs::create_directory(root / "checkpoints");
  fs::rename(root / "a.h5", root / "checkpoints/a.h5");
  EXPECT_EQ(code_of([&] { RunDirectory::open(root.path()); }), Code::kMismatch);
  EXPECT_TRUE(RunDirectory::find_all(root.path()).empty());
}

TEST(RunDirectory, ToRemoveItHasToBeAWholeRun) {
  const sample::Scratch root;
  const auto code = [&](const char* name) {
    return code_of([&] { RunDirectory::open_to_remove(root / name); });
  };
  // A collection of saves from many runs: readable, but not ours to tidy up.
  fs::create_directory(root / "best");
  save(sample::model(1, 1, 0.5), root / "best");
  EXPECT_NO_THROW(RunDirectory::open(root / "best"));
  EXPECT_EQ(code("best"), Code::kMismatch);
  // Without run.json, but with its saves where runs have them.
  fs::create_directories(root / "old/checkpoints");
  save(sample::model(1, 1, 0.5), root / "old/checkpoints");
  EXPECT_NO_THROW(RunDirectory::open_to_remove(root / "old"));
  // The saves of a run are removed under the lock of the run, not beside it.
  EXPECT_EQ(code("old/checkpoints"), Code::kMismatch);
  // A program of other people that has a run.json too.
  fs::create_directories(root / "theirs/checkpoints");
  std::ofstream(root / "theirs/run.json") << R"({"name": "sweep 3"})";
  EXPECT_EQ(code("theirs"), Code::kCorrupt);
}

TEST(RunDirectory, DamagedInfoIsNamed) {
  const sample::Scratch root;
  const RunDirectory run = RunDirectory::create(root / "a");
  for (const char* text : {"", "{", "[]", R"({"run": "x"})", R"({"run": 3})"}) {
    std::ofstream(run.file("run.json"), std::ios::trunc) << text;
    EXPECT_EQ(code_of([&] { (void)run.info(); }), Code::kCorrupt) << text;
  }
}

TEST(RunDirectory, FindsRunsAndDoesNotFollowLinks) {
  const sample::Scratch root;
  RunDirectory::create(root / "x/1");
  RunDirectory::create(root / "x/2");
  RunDirectory::create(root / "y");
  fs::create_directory_symlink(root.path(), root / "loop");
  EXPECT_EQ(RunDirectory::find_all(root.path()).size(), 3U);
  EXPECT_EQ(RunDirectory::find_all(root.path(), 1).size(), 1U);
}

}  // namespace
}  // namespace reprise::store
