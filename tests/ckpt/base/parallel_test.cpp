#include "ckpt/base/parallel.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <vector>

namespace reprise {
namespace {

TEST(ParallelFor, CallsEachOnce) {
  for (const unsigned jobs : {0U, 1U, 3U, 5000U}) {
    std::vector<std::atomic<int>> calls(2000);
    parallel_for(calls.size(), jobs, [&](std::size_t i) { ++calls[i]; });
    for (const auto& count : calls) EXPECT_EQ(count, 1);
  }
}

TEST(ParallelFor, WithoutMoreThreadsTheOnesThereAreDoTheWork) {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // these map terabytes
  const pid_t child = fork();
  if (child == 0) {
    const rlimit space{256 << 20, 256 << 20};  // for some stacks of 8 MiB, not for a thousand
    setrlimit(RLIMIT_AS, &space);
    std::atomic<std::size_t> calls = 0;
    parallel_for(1000, 1000, [&](std::size_t) {
      ++calls;
      usleep(200);
    });
    _exit(calls == 1000 ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
#endif
}

}  // namespace
}  // namespace reprise
