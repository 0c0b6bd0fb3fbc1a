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
