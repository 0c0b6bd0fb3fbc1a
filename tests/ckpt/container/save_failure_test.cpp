// Whatever fails while saving, and whenever the writer dies: the checkpoint that was there
// is whole, or the new one is.
#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/container/hdf5.h"
#include "ckpt/container/open.h"
#include "tests/ckpt/container/sample.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

namespace reprise::container {
namespace {

class SaveFailure : public testing::Test {
 protected:
  ScratchFolder folder_{std::filesystem::current_path()};  // a disk, where direct writes work
  std::filesystem::path target_ = folder_ / "a.h5";

  // Runs the probe with failing calls; its exit code, or -1 when it was killed.
  int save(unsigned seed, int failing_call, std::string_view way) const {
    const std::string command =
        fmt::format("FAILING_CALL={} FAILING_WAY={} LD_PRELOAD='{}' '{}' '{}' {} 2> '{}'",
                    failing_call, way, REPRISE_FAILING_CALLS, REPRISE_SAVE_PROBE, target_.string(),
                    seed, (folder_.path().string() + ".log"));
    const int status = std::system(("exec env " + command).c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  // How many calls a save makes that can fail.
  int count_calls() const {
    const std::string out = folder_.path().string() + ".count";
    const std::string command =
        fmt::format("FAILING_COUNT=1 LD_PRELOAD='{}' '{}' '{}' 1 > '{}'", REPRISE_FAILING_CALLS,
                    REPRISE_SAVE_PROBE, target_.string(), out);
    EXPECT_EQ(std::system(command.c_str()), 0);
    const int count = std::atoi(read_file(out).c_str());
    std::filesystem::remove(out);
    return count;
  }

  // The seed of the whole checkpoint at the target.
  std::int64_t whole_seed() const {
    const VerifyReport report = verify(target_);
    for (const Problem& problem : report.problems) ADD_FAILURE() << problem.message;
    return open(target_).root.as_dict().get("seed").as_int();
  }

  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(folder_.path()), {}));
  }

  void TearDown() override { std::filesystem::remove(folder_.path().string() + ".log"); }
};

TEST_F(SaveFailure, EachCallFailingLeavesAWholeCheckpoint) {
  const int calls = count_calls();
  ASSERT_GT(calls, 10);
  int failed = 0;
  for (const std::string_view way : {"EIO", "ENOSPC"}) {
    for (int call = 1; call <= calls; ++call) {
      ASSERT_EQ(save(1, 0, way), 0);
      const int code = save(2, call, way);
      SCOPED_TRACE(fmt::format("{} at call {}, exit code {}", way, call, code));
      if (code == 0) {
        EXPECT_EQ(whole_seed(), 2);
      } else {
        ++failed;
        EXPECT_EQ(code, static_cast<int>(Code::kIo));
        // After the rename the new file is there; only its durability is in doubt.
        const std::int64_t seed = whole_seed();
        EXPECT_TRUE(seed == 1 || seed == 2);
      }
      EXPECT_EQ(files(), 1u) << "a temporary file is left";
    }
  }
  EXPECT_GT(failed, 10);
}

TEST_F(SaveFailure, InterruptedAndShortCallsAreContinued) {
  const int calls = count_calls();
  for (const std::string_view way : {"EINTR", "short"}) {
    for (int call = 1; call <= calls; ++call) {
      const int code = save(static_cast<unsigned>(call), call, way);
      SCOPED_TRACE(fmt::format("{} at call {}, exit code {}", way, call, code));
      if (code == 0) {
        EXPECT_EQ(whole_seed(), call);
      } else {
        EXPECT_EQ(way, "EINTR");
        EXPECT_EQ(code, static_cast<int>(Code::kIo))
            << "rename does not return EINTR on Linux: an error is right";
      }
    }
  }
}

TEST_F(SaveFailure, BeingKilledAtEachCallLeavesAWholeCheckpoint) {
  const int calls = count_calls();
  ASSERT_EQ(save(1, 0, "EIO"), 0);
  for (int call = 1; call <= calls; ++call) {
    SCOPED_TRACE(call);
    save(2, call, "kill");
    const std::int64_t seed = whole_seed();
    EXPECT_TRUE(seed == 1 || seed == 2);
    remove_abandoned(folder_.path());
    EXPECT_EQ(files(), 1u);
  }
}

TEST_F(SaveFailure, BeingKilledAtAnyMomentLeavesAWholeCheckpoint) {
  ASSERT_EQ(save(1, 0, "EIO"), 0);
  for (int round = 0; round < 40; ++round) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      execl(REPRISE_SAVE_PROBE, REPRISE_SAVE_PROBE, target_.c_str(), "2", "again", nullptr);
      _exit(127);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(5000 + 3777 * (round % 17)));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    EXPECT_GE(whole_seed(), 1) << "round " << round;
    remove_abandoned(folder_.path());
    EXPECT_EQ(files(), 1u);
  }
}

}  // namespace
}  // namespace reprise::container
