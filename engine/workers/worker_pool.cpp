#include "engine/workers/worker_pool.h"

#include "ckpt/base/error.h"
#include "ckpt/base/parallel.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <malloc.h>

#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace reprise::engine {

void prepare_compute_thread() {
  // OpenMP keeps the number of threads per calling thread, so each has to be told.
  at::set_num_threads(1);
  at::globalContext().setFlushDenormal(true);
}

namespace {

// Activations come and go by the megabyte. Given back to the system each time, they would cost a
// page fault per 4 KiB on the next use: 5 % of the CPU time of a small ResNet's update.
void keep_freed_memory() {
  constexpr int kMiB = 1 << 20;
  static const bool kDone = [] {
    ::mallopt(M_MMAP_THRESHOLD, 32 * kMiB);  // the most that glibc takes
    ::mallopt(M_TRIM_THRESHOLD, 2047 * kMiB);
    ::mallopt(M_TOP_PAD, 64 * kMiB);
    return true;
  }();
  static_cast<void>(kDone);
}

}  // namespace

struct WorkerPool::State {
  std::mutex mutex;
  std::condition_variable work_there;
  std::condition_variable work_done;
  const std::function<void(std::size_t)>* body = nullptr;
  std::size_t next = 0;
  std::size_t count = 0;
  std::size_t running = 0;
  std::exception_ptr failure;
  bool ending = false;
  std::vector<std::thread> threads;

  // Takes pieces until there are none. Holds the lock on entry and on return.
  void work(std::unique_lock<std::mutex>& lock) {
    while (next < count) {
      const std::size_t piece = next++;
      const auto& run_piece = *body;
      ++running;
      lock.unlock();
      std::exception_ptr caught;
      try {
        run_piece(piece);
      } catch (...) {
        caught = std::current_exception();
      }
      lock.lock();
      --running;
      if (caught) {
        if (!failure) failure = caught;
        next = count;
      }
    }
    if (running == 0) work_done.notify_all();
  }

  void end() {
    {
      const std::lock_guard lock(mutex);
      ending = true;
    }
    work_there.notify_all();
    for (std::thread& thread : threads) thread.join();
  }

  void thread_main() {
    prepare_compute_thread();
    std::unique_lock lock(mutex);
    while (true) {
      work_there.wait(lock, [this] { return ending || next < count; });
      if (ending) return;
      work(lock);
    }
  }
};

WorkerPool::WorkerPool(unsigned threads) : state_(std::make_unique<State>()) {
  keep_freed_memory();
  prepare_compute_thread();
  const unsigned wanted = threads == 0 ? available_cores() : threads;
  if (wanted > kMostJobs) fail(Code::kUsage, "{} threads: at most {}", wanted, kMostJobs);
  state_->threads.reserve(wanted - 1);
  try {
    for (unsigned i = 1; i < wanted; ++i) {
      state_->threads.emplace_back([state = state_.get()] { state->thread_main(); });
    }
  } catch (const std::system_error& error) {
    const std::size_t started = state_->threads.size() + 1;
    state_->end();
    fail(Code::kIo, "thread {} of {} could not be started: {}; use fewer --jobs", started + 1,
         wanted, error.what());
  }
}

WorkerPool::~WorkerPool() { state_->end(); }

unsigned WorkerPool::threads() const { return static_cast<unsigned>(state_->threads.size()) + 1; }

void WorkerPool::run(std::size_t count, const std::function<void(std::size_t)>& body) {
  if (count == 0) return;
  std::unique_lock lock(state_->mutex);
  state_->body = &body;
  state_->next = 0;
  state_->count = count;
  state_->failure = nullptr;
  if (count > 1) state_->work_there.notify_all();
  state_->work(lock);
  state_->work_done.wait(lock, [this] { return state_->running == 0; });
  state_->count = 0;
  state_->next = 0;
  state_->body = nullptr;
  if (state_->failure) std::rethrow_exception(std::exchange(state_->failure, nullptr));
}

}  // namespace reprise::engine
