// A run directory for tests of what shows runs.
#pragma once

#include "tests/repro/shell.h"

#include <string>

namespace reprise::testing_shell {

// A run as `train` leaves it, less what only it can write.
inline void make_run(const fs::path& run, double best, const std::string& state = "finished") {
  put(run / "run.json", R"({"run": "5a6ae4ce-2d66-4418-b760-5c5f8f3c769b", "state": ")" + state +
                            R"(", "host": "here", "pid": 1, "started": "2026-01-01T00:00:00Z",)"
                            R"( "updated": "2026-01-01T00:00:00Z"})");
  std::string train = "update\tepoch\tsamples_seen\tlr\tloss\tgrad_norm\ttime\tdata_time\tmemory\n";
  std::string valid = "update\tepoch\tsamples_seen\tsamples\tval/loss\tval/acc1\n";
  for (int u = 1; u <= 30; ++u) {
    const std::string at = std::to_string(u);
    train += at + "\t" + std::to_string((u - 1) / 10 + 1) + "\t" + std::to_string(u * 16) +
             "\t0.1\t" + std::to_string(3.0 / u) + "\t1\t0.5\t0.01\t100\n";
    if (u % 10 == 0) {
      valid += at + "\t" + std::to_string(u / 10) + "\t" + std::to_string(u * 16) + "\t64\t0.5\t" +
               std::to_string(u == 20 ? best : 10.0) + "\n";
    }
  }
  put(run / "train.tsv", train);
  put(run / "valid.tsv", valid);
  fs::create_directories(run / "checkpoints");
}

}  // namespace reprise::testing_shell
