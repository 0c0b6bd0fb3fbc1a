// What a row of train.tsv averages: the updates since the row before.
#pragma once

#include "ckpt/state/checkpoint.h"
#include "train/run_log.h"

#include <cstdint>
#include <optional>

namespace reprise::train {

enum class Row : std::uint8_t {
  kDue,       // every --log-every updates, and at the end of an epoch
  kAtTheEnd,  // the run ends in the middle of an interval: one that goes on leaves no such row
};

// Counts the updates of one interval after another. Sums of losses and gradient norms are part of
// where training stands, so that the row after a resume has the bits it has without one; times and
// the estimate are of this process alone. Of the training thread.
class Interval {
 public:
  // `sums` are those of a learner's progress, and outlive this.
  explicit Interval(std::optional<IntervalSums>& sums) : sums_(sums) {}

  // An update is made.
  void add(double loss, double grad_norm, double lr);
  // It took so long, waiting for data included.
  void add_time(double seconds);

  // Puts the averages, and the estimate for `left` further updates, into `record`, after at least
  // one update. `data_waited_s` is what this process has waited for data in all. The next interval
  // begins; after a row at the end the sums stay, for the row that is due later.
  void close(Row row, std::uint64_t left, double data_waited_s, IntervalRecord& record);

  // All updates of this process.
  std::uint64_t updates_here() const { return all_updates_; }

 private:
  std::optional<IntervalSums>& sums_;
  double lr_ = 0;
  std::uint64_t updates_ = 0;  // of the interval, in this process
  double seconds_ = 0;         // that they took
  double waited_before_s_ = 0;
  std::uint64_t all_updates_ = 0;
  double all_seconds_ = 0;
};

}  // namespace reprise::train
