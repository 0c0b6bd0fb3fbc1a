// --nproc N: the same program N times on this machine.
#pragma once

#include <span>
#include <string>

namespace reprise::engine {

// Starts this program `processes` times with `arguments` (argv, the name first), each told its
// place by the variables of place_from_environment(), on a port that the system picked and that is
// never free in between: two runs on a machine do not clash. Waits for all. SIGTERM, SIGINT and
// SIGUSR1 are passed on. When a process fails, the others get SIGTERM, and SIGKILL 10 s later.
// The processes end with this one, also when it is killed.
// Returns the exit code: that of the first process that failed, else 75 if any stopped, else 0.
// The first failure is reported on stderr with its rank; a process killed by a signal counts as 128
// + its number. The signals stay blocked afterwards: one that comes late does not replace the exit
// code. Call it before any thread is started. Errors: kUsage for fewer than 1 or more than 1024;
// kIo.
int launch_local(int processes, std::span<const std::string> arguments);

}  // namespace reprise::engine
