// One fsync of a directory for all results that were renamed into it in the meantime.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <map>
#include <mutex>

namespace reprise::migrate {

// Files of a batch are published side by side, and each needs its directory on disk. Whoever
// asks while an fsync runs waits for the next one, which serves all who wait by then. For
// any number of threads; must outlive their calls.
class GroupSync {
 public:
  // Returns when an fsync of `directory` that began after this call has ended.
  // Errors: kIo, also for all later calls with this directory: what an fsync after a failed
  // one reports says nothing about what was lost before.
  void sync(const std::filesystem::path& directory);

 private:
  struct State {
    std::uint64_t begun = 0, ended = 0;
    std::exception_ptr failure;
  };
  std::mutex mutex_;
  std::condition_variable ended_;
  std::map<std::filesystem::path, State> directories_;
};

}  // namespace reprise::migrate
