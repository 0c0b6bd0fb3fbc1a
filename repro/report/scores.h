// The best values of many runs, side by side.
#pragma once

#include "ckpt/base/json.h"
#include "repro/report/run_record.h"

#include <string>
#include <vector>

namespace reprise::report {

struct Score {
  std::string metric;
  store::MetricMode mode = store::MetricMode::kMin;
  double value = 0;
  std::uint64_t update = 0;  // where it was measured
  std::uint64_t epoch = 0;
  std::uint64_t samples_seen = 0;
};

// The best finite value of each metric of a run, the earliest of equals. `metrics`: which, as
// metric_of() reads them; empty for all. Errors: kUsage from metric_of().
std::vector<Score> best_scores(const RunRecord& run, const std::vector<std::string>& metrics);

// Mean and standard deviation (of the sample) of one metric's best values.
struct Spread {
  std::string metric;
  std::size_t runs = 0;
  double mean = 0;
  double deviation = 0;  // 0 for one run
};
std::vector<Spread> spread(const std::vector<std::vector<Score>>& scores);

// {"metric": {value, mode, update, epoch, samples_seen}}
Json to_json(const std::vector<Score>& scores);

}  // namespace reprise::report
