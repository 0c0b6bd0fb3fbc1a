// The threads that compute: persistent, one intra-op thread each.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace reprise::engine {

// Runs numbered pieces of work side by side. What a piece computes must depend on its number
// alone; then neither the number of threads nor their timing changes a bit of the result.
//
// Every thread of the pool, the caller of run() included, has LibTorch's intra-op parallelism
// set to one thread (a backward pass on CPU stays in the thread that asked for it) and
// flushes denormal numbers to zero. The first pool of a process sets LibTorch's process-wide
// thread counts to one, and has the C library keep freed memory for the next update: make it
// before any tensor work.
//
// run() is called by one thread at a time and not from inside a piece.
class WorkerPool {
 public:
  // Threads that work, the caller of run() being one of them; 0: one a core of this
  // process's affinity mask. Errors: kUsage for more than kMostJobs; kIo where the system does
  // not start as many.
  explicit WorkerPool(unsigned threads = 0);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  unsigned threads() const;

  // Calls body(0) .. body(count - 1), each once, started in this order; returns when all are
  // done. Cost: about 5 us beyond the work. Errors: the first exception of a piece is
  // rethrown once the pieces under way have ended; no further ones start.
  void run(std::size_t count, const std::function<void(std::size_t piece)>& body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Settings of a computing thread for the thread that calls it: what every thread of a pool
// has. For threads of other makers that run tensor code.
void prepare_compute_thread();

}  // namespace reprise::engine
