#include "ckpt/store/async_save.h"

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace reprise::store {

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Signals that mean "stop" go to the thread that trains.
void block_stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

}  // namespace

struct AsyncSaver::State {
  unsigned jobs;
  StagingBuffer staging;
  double waited_s = 0;
  double copied_s = 0;

  std::mutex mutex;
  std::condition_variable changed;
  std::optional<std::pair<Checkpoint, Write>> job;  // set: to be written, or being written
  std::exception_ptr failure;
  std::atomic<bool> failed{false};
  bool stop = false;
  std::thread writer;

  void work() {
    block_stop_signals();
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [&] { return job || stop; });
      if (!job) return;
      lock.unlock();
      std::exception_ptr problem;
      try {
        job->second(job->first);
      } catch (...) {
        problem = std::current_exception();
      }
      lock.lock();
      job.reset();
      failure = problem;
      failed.store(problem != nullptr, std::memory_order_release);
      changed.notify_all();
    }
  }

  void wait(std::unique_lock<std::mutex>& lock) {
    changed.wait(lock, [&] { return !job; });
  }

  void rethrow() {
    std::exception_ptr problem;
    {
      const std::lock_guard lock(mutex);
      problem = std::exchange(failure, nullptr);
      failed.store(false, std::memory_order_relaxed);
    }
    if (problem) std::rethrow_exception(problem);
  }
};

AsyncSaver::AsyncSaver(unsigned jobs) : state_(std::make_unique<State>()) {
  state_->jobs = jobs;
  state_->writer = std::thread([state = state_.get()] { state->work(); });
}

AsyncSaver::~AsyncSaver() {
  {
    std::unique_lock lock(state_->mutex);
    state_->wait(lock);
    state_->stop = true;
  }
  state_->changed.notify_all();
  state_->writer.join();
}

void AsyncSaver::submit(const Checkpoint& checkpoint, Write write, const Wanted& wanted) {
  const auto start = std::chrono::steady_clock::now();
  {
    std::unique_lock lock(state_->mutex);
    state_->wait(lock);
  }
  state_->waited_s += seconds_since(start);
  check();
  const auto copy_start = std::chrono::steady_clock::now();
  Checkpoint snapshot = state_->staging.copy(checkpoint, state_->jobs, wanted);
  state_->copied_s += seconds_since(copy_start);
  {
    const std::lock_guard lock(state_->mutex);
    state_->job.emplace(std::move(snapshot), std::move(write));
  }
  state_->changed.notify_all();
}

void AsyncSaver::check() {
  if (state_->failed.load(std::memory_order_acquire)) state_->rethrow();
}

void AsyncSaver::finish() {
  {
    std::unique_lock lock(state_->mutex);
    state_->wait(lock);
  }
  check();
}

bool AsyncSaver::busy() const {
  const std::lock_guard lock(state_->mutex);
  return state_->job.has_value();
}

double AsyncSaver::waited_s() const { return state_->waited_s; }
double AsyncSaver::copied_s() const { return state_->copied_s; }

}  // namespace reprise::store
