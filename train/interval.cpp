#include "train/interval.h"

namespace reprise::train {

void Interval::add(double loss, double grad_norm, double lr) {
  if (!sums_) sums_.emplace();
  sums_->updates += 1;
  sums_->loss += loss;
  sums_->grad_norm += grad_norm;
  lr_ = lr;
}

void Interval::add_time(double seconds) {
  updates_ += 1;
  seconds_ += seconds;
  all_updates_ += 1;
  all_seconds_ += seconds;
}

void Interval::close(Row row, std::uint64_t left, double data_waited_s, IntervalRecord& record) {
  const auto updates = static_cast<double>(sums_->updates);
  record.lr = lr_;
  record.loss = sums_->loss / updates;
  record.grad_norm = sums_->grad_norm / updates;
  const auto here = static_cast<double>(updates_);
  record.time_s = seconds_ / here;
  record.data_time_s = (data_waited_s - waited_before_s_) / here;
  record.eta_s = all_seconds_ / static_cast<double>(all_updates_) * static_cast<double>(left);
  if (row == Row::kDue) sums_.reset();
  updates_ = 0;
  seconds_ = 0;
  waited_before_s_ = data_waited_s;
}

}  // namespace reprise::train
