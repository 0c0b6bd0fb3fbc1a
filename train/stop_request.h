// Signals that ask a run to stop: finish the update, save, exit 75.
#pragma once

#include <chrono>

namespace reprise::train {

// From the first one on, SIGTERM, SIGINT and SIGUSR1 (the warning that Slurm can send before a
// job's time is up) only set a flag. A second SIGINT ends the process at once, as if killed: what
// is published stays whole. It stays so to the end of the process: a scheduler that repeats its
// signal would otherwise turn the exit code of a run that has stopped and saved into that of a
// killed one. One at a time.
class StopRequest {
 public:
  StopRequest();
  StopRequest(const StopRequest&) = delete;
  StopRequest& operator=(const StopRequest&) = delete;

  // Seconds since this was made: of a process that makes it first, since it began.
  double running_s() const;
  // The signal that came, 0 when none did. Costs a load.
  int signal() const;

 private:
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

// "SIGTERM", "SIGINT", "SIGUSR1".
const char* signal_name(int signal);

}  // namespace reprise::train
