// Signals that ask a run to stop: finish the update, save, exit 75.
#pragma once

namespace reprise::train {

// While it lives, SIGTERM, SIGINT and SIGUSR1 (the warning that Slurm can send before a job's
// time is up) only set a flag. A second SIGINT ends the process at once, as if killed: what is
// published stays whole. One at a time; restores the handlers of before when destroyed.
class StopRequest {
 public:
  StopRequest();
  ~StopRequest();
  StopRequest(const StopRequest&) = delete;
  StopRequest& operator=(const StopRequest&) = delete;

  // The signal that came, 0 when none did. Costs a load.
  int signal() const;
};

// "SIGTERM", "SIGINT", "SIGUSR1".
const char* signal_name(int signal);

}  // namespace reprise::train
