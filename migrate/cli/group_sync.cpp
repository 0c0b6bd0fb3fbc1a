#include "migrate/cli/group_sync.h"

#include "ckpt/base/file.h"

namespace reprise::migrate {

void GroupSync::sync(const std::filesystem::path& directory) {
  std::unique_lock lock(mutex_);
  State& state = directories_[directory];
  const std::uint64_t mine = state.begun + 1;
  while (state.ended < mine && !state.failure) {
    if (state.begun != state.ended) {
      ended_.wait(lock);
      continue;
    }
    ++state.begun;
    lock.unlock();
    std::exception_ptr failure;
    try {
      sync_directory(directory);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    ++state.ended;
    state.failure = failure;
    ended_.notify_all();
  }
  if (state.failure) std::rethrow_exception(state.failure);
}

}  // namespace reprise::migrate
