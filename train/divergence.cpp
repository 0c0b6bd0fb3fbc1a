#include "train/divergence.h"

#include "ckpt/base/error.h"

#include <fmt/format.h>

#include <cmath>
#include <string>

namespace reprise::train {
namespace {

constexpr int kMost = 3;

// The sign of what is no number says nothing.
std::string said(double value) { return std::isnan(value) ? "nan" : fmt::format("{}", value); }

}  // namespace

bool Divergence::lost(double loss, double gradient_norm) const {
  return !scaled_ && !(std::isfinite(loss) && std::isfinite(gradient_norm));
}

Verdict Divergence::judge(double loss, double gradient_norm) {
  const bool over = max_loss_ > 0 && loss > max_loss_;
  const bool no_number = lost(loss, gradient_norm);
  if (!over && !no_number && std::isfinite(loss)) {
    series_ = 0;
    return Verdict::kFine;
  }
  ++series_;
  return no_number || series_ >= kMost ? Verdict::kDiverged : Verdict::kSuspect;
}

void Divergence::stop(std::uint64_t update, double loss, double gradient_norm) const {
  constexpr const char* kNext =
      "go back to it with --resume-from, a lower --lr and --allow-config-change";
  if (lost(loss, gradient_norm)) {
    fail(Code::kNo,
         "update {} has a loss of {} and a gradient norm of {}, and is not made; the state before "
         "the first such loss is saved: {}",
         update, said(loss), said(gradient_norm), kNext);
  }
  const bool over = max_loss_ > 0 && loss > max_loss_;
  fail(Code::kNo, "three updates in a row with a loss of {}{}; the state before them is saved: {}",
       said(loss), over ? fmt::format(", over max-loss = {}", max_loss_) : "", kNext);
}

}  // namespace reprise::train
