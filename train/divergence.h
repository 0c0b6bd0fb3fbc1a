// When a run has to end because it no longer learns: a loss or a gradient that is no number, or
// losses over --max-loss, one after another.
#pragma once

#include <cstdint>

namespace reprise::train {

// What to do about an update, before it is learnt from.
enum class Verdict : std::uint8_t {
  kFine,
  kSuspect,   // over the limit, but not yet the third in a row
  kDiverged,  // not to be made: error() says why
};

// Judges update after update; the same on every rank, as losses and norms are. A float16 overflow
// is the loss scale's to deal with, unless the loss itself is no number three times.
class Divergence {
 public:
  // `max_loss` of 0: none. `scaled`: with a loss scale.
  Divergence(double max_loss, bool scaled) : max_loss_(max_loss), scaled_(scaled) {}

  Verdict judge(double loss, double gradient_norm);

  // The last verdict began a series: the state before it is the one to go back to.
  bool just_began() const { return series_ == 1; }
  // In a series, whose states are not to be kept.
  bool under_way() const { return series_ > 0; }

  // Ends the run at update `update`, counted from 1, that kDiverged is said of. Errors: kNo.
  [[noreturn]] void stop(std::uint64_t update, double loss, double gradient_norm) const;

 private:
  // No number, and no loss scale to blame.
  bool lost(double loss, double gradient_norm) const;

  double max_loss_;
  bool scaled_;
  int series_ = 0;
};

}  // namespace reprise::train
