// Keeps float16 gradients in range: the loss is multiplied before the backward pass.
#pragma once

#include "ckpt/state/value.h"

#include <cstdint>

namespace reprise::engine {

// The rule of torch.amp.GradScaler and its state dict: an update whose gradients overflow is left
// out and halves the scale; 2,000 updates in a row that do not overflow double it. A value; every
// rank sees the same reduced gradient, so scales stay equal without talking.
class LossScaler {
 public:
  // `scale`: a power of two, so that scaling back is exact. Errors: kUsage for another number.
  explicit LossScaler(double scale = 65536);

  double scale() const { return scale_; }
  // After each update, left out or not.
  void update(bool overflowed);

  // {"scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker"}
  Value state(Arena& arena) const;
  // Takes over such a state, ours or PyTorch's. Errors: kMismatch when there is none; kCorrupt for
  // a scale that is no power of two, or a tracker out of range; then nothing changes.
  void load(Value state);

 private:
  double scale_;
  std::int64_t growth_tracker_ = 0;
};

}  // namespace reprise::engine
