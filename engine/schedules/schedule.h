// A number as a function of the update: learning rate, weight decay, EMA momentum.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace reprise::engine {

struct ScheduleOptions {
  std::string name = "cosine";  // constant, cosine, linear, poly, exponential, one-cycle
  double base = 0.1;            // value after warm-up
  double final = 0;             // value at the end: cosine, linear, poly
  std::uint64_t updates = 1;    // length of the run, warm-up included
  // Linear from warmup_start to base over the first so many updates, then the schedule over
  // the rest. one-cycle has a rise of its own (30 % of the run) and takes no warm-up.
  std::uint64_t warmup_updates = 0;
  double warmup_start = 0;
  double power = 0.9;  // poly
  // exponential: the factor per epoch, and how many updates an epoch has.
  double gamma = 0.95;
  std::uint64_t updates_per_epoch = 1;
};

// A pure function of (options, update), so there is nothing to save or restore. Cheap.
class Schedule {
 public:
  // Errors: kUsage for an unknown name, with the nearest one; for a warm-up that is not
  // shorter than the run; for numbers out of range.
  explicit Schedule(ScheduleOptions options);

  // The value that update `update` uses (0 is the first). After the last update: the last value.
  // cosine: torch's CosineAnnealingLR with T_max = updates after warm-up; linear: LinearLR;
  // poly: PolynomialLR; exponential: ExponentialLR per epoch; one-cycle: OneCycleLR (cosine,
  // div_factor 25, final_div_factor 1e4, pct_start 0.3), whose max_lr is `base`.
  double at(std::uint64_t update) const;

  const ScheduleOptions& options() const { return options_; }

 private:
  ScheduleOptions options_;
};

// For `--list schedule`: names and one line each.
std::vector<std::pair<std::string, std::string>> schedules();

}  // namespace reprise::engine
