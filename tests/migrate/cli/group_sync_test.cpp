#include "migrate/cli/group_sync.h"

#include "ckpt/base/error.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace {
std::atomic<int> calls{0};
std::atomic<bool> failing{false};
std::atomic<int> begun{0};
}  // namespace

// In place of the C library's: as slow as a disk.
extern "C" int fsync(int descriptor) {
  ++begun;
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  ++calls;
  if (failing) {
    errno = EIO;
    return -1;
  }
  return static_cast<int>(syscall(SYS_fsync, descriptor));
}

namespace reprise::migrate {
namespace {

TEST(GroupSync, OneFsyncServesAllWhoWaitForIt) {
  GroupSync syncs;
  calls = begun = 0;
  std::atomic<int> early{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 16; ++i) {
      threads.emplace_back([&] {
        const int before = begun;
        syncs.sync(".");
        // One that began after the call has ended.
        if (calls <= before) ++early;
      });
    }
  }
  EXPECT_EQ(early, 0);
  EXPECT_GE(calls, 1);
  EXPECT_LE(calls, 4) << "each has waited for its own";
}

TEST(GroupSync, AFailureIsOneForAllWhoWaitAndForAllLater) {
  GroupSync syncs;
  failing = true;
  std::atomic<int> failures{0};
  const auto attempt = [&] {
    try {
      syncs.sync(".");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kIo);
      ++failures;
    }
  };
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) threads.emplace_back(attempt);
  }
  failing = false;
  attempt();
  EXPECT_EQ(failures, 9);
  EXPECT_NO_THROW(syncs.sync("/"));
}

}  // namespace
}  // namespace reprise::migrate
