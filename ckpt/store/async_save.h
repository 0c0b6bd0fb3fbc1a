// Saving beside training: the caller waits for one memory copy, not for the disk.
#pragma once

#include "ckpt/state/checkpoint.h"
#include "ckpt/store/staging.h"

#include <functional>
#include <memory>

namespace reprise::store {

// Takes snapshots and has them written by a thread of its own, one at a time and in
// order. Owned and called by one thread. Holds a staging buffer as large as the
// largest state so far, allocated and populated once.
//
//   AsyncSaver saver;
//   saver.submit(checkpoint, [=](const Checkpoint& snapshot) { store::save(snapshot, dir); ... });
//   saver.check();   // each update: throws what the last write threw
//   saver.finish();  // at exit: waits, then the same
//
// What a save entails (names, retention, log lines) belongs into `write`, so that it
// happens after the file is durable and in the order of the saves.
class AsyncSaver {
 public:
  using Write = std::function<void(const Checkpoint& snapshot)>;

  // `jobs`: threads that copy, as parallel_for takes it.
  explicit AsyncSaver(unsigned jobs = 0);
  // Waits for the write in flight. A failure that nobody asked for is lost here: call finish().
  ~AsyncSaver();
  AsyncSaver(const AsyncSaver&) = delete;
  AsyncSaver& operator=(const AsyncSaver&) = delete;

  // Waits for the write in flight, copies every tensor of `checkpoint` that is wanted, and
  // returns while `write` runs with the copy; it reads no other ones. Afterwards the caller may
  // change its tensors. Tied tensors stay tied. Cost: one memcpy of the state; the first call also
  // allocates the buffer.
  // Errors: those of the previous write (this save is then not started); those of
  // reading tensors.
  void submit(const Checkpoint& checkpoint, Write write, const Wanted& wanted = {});

  // Throws what the last write threw, once; costs one atomic load when all is well.
  void check();

  // Waits for the write in flight; throws what it threw.
  void finish();

  bool busy() const;
  // Seconds that submit() spent waiting for the write before, and copying, in all.
  double waited_s() const;
  double copied_s() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace reprise::store
