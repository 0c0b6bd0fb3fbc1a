#include "engine/workers/worker_pool.h"

#include "ckpt/base/error.h"
#include "ckpt/base/parallel.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <fstream>
#include <stdexcept>
#include <vector>

namespace reprise::engine {
namespace {

TEST(WorkerPool, RunsEveryPieceOnceOnAnyNumberOfThreads) {
  for (const unsigned threads : {1U, 2U, 5U}) {
    WorkerPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (const std::size_t count : {0U, 1U, 3U, 1000U}) {
      std::vector<std::atomic<int>> runs(count);
      pool.run(count, [&](std::size_t piece) { ++runs[piece]; });
      for (const auto& one : runs) EXPECT_EQ(one, 1);
    }
  }
}

TEST(WorkerPool, ThreadsThatCannotBeStartedAreAnErrorNotAnAbort) {
  EXPECT_THROW(WorkerPool(kMostJobs + 1), Error);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // these map terabytes
  const pid_t child = fork();
  if (child == 0) {
    // Room for everything but a stack of a gigabyte.
    constexpr std::size_t kMiB = 1 << 20;
    pthread_attr_t large;
    pthread_attr_init(&large);
    pthread_attr_setstacksize(&large, 1024 * kMiB);
    pthread_setattr_default_np(&large);
    std::size_t mapped_pages = 0;
    std::ifstream("/proc/self/statm") >> mapped_pages;
    const rlim_t most = mapped_pages * 4096 + 512 * kMiB;
    const rlimit space{most, most};
    setrlimit(RLIMIT_AS, &space);
    try {
      const WorkerPool pool(kMostJobs);
    } catch (const Error& error) {
      _exit(static_cast<int>(error.code()));
    }
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, static_cast<int>(Code::kIo));
#endif
}

TEST(WorkerPool, EveryThreadHasOneIntraOpThread) {
  WorkerPool pool(3);
  std::atomic<int> wrong = 0;
  pool.run(30, [&](std::size_t) { wrong += at::get_num_threads() != 1; });
  EXPECT_EQ(wrong, 0);
}

TEST(WorkerPool, FlushesDenormalsInEveryThread) {
  WorkerPool pool(3);
  std::atomic<int> kept = 0;
  pool.run(30, [&](std::size_t) {
    volatile float tiny = 1e-38F;
    tiny = tiny * 0.01F;
    kept += tiny != 0;
  });
  EXPECT_EQ(kept, 0);
}

TEST(WorkerPool, AnExceptionComesOutAndThePoolGoesOn) {
  WorkerPool pool(2);
  std::atomic<int> started = 0;
  EXPECT_THROW(pool.run(1000,
                        [&](std::size_t) {
                          ++started;
                          throw std::runtime_error("one");
                        }),
               std::runtime_error);
  EXPECT_LE(started, 2);
  std::atomic<int> done = 0;
  pool.run(10, [&](std::size_t) { ++done; });
  EXPECT_EQ(done, 10);
}

}  // namespace
}  // namespace reprise::engine
