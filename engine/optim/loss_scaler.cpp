#include "engine/optim/loss_scaler.h"

#include "ckpt/base/error.h"

#include <cmath>

namespace reprise::engine {
namespace {

constexpr double kGrowth = 2;
constexpr double kBackoff = 0.5;
constexpr std::int64_t kInterval = 2000;
// PyTorch holds the scale in float32 and stops growing where that ends.
constexpr double kLargest = 0x1p127;

bool is_power_of_two(double value) {
  int exponent = 0;
  return value > 0 && std::isfinite(value) && value <= kLargest &&
         std::frexp(value, &exponent) == 0.5;
}

}  // namespace

LossScaler::LossScaler(double scale) : scale_(scale) {
  if (!is_power_of_two(scale)) {
    fail(Code::kUsage, "loss-scale = {}: expected a power of two, as 65536", scale);
  }
}

void LossScaler::update(bool overflowed) {
  if (overflowed) {
    scale_ *= kBackoff;
    growth_tracker_ = 0;
  } else if (++growth_tracker_ == kInterval) {
    if (scale_ < kLargest) scale_ *= kGrowth;
    growth_tracker_ = 0;
  }
}

Value LossScaler::state(Arena& arena) const {
  const Value state = arena.dict();
  DictNode& keys = state.as_dict();
  keys.append(arena, "scale", Value::real(scale_));
  keys.append(arena, "growth_factor", Value::real(kGrowth));
  keys.append(arena, "backoff_factor", Value::real(kBackoff));
  keys.append(arena, "growth_interval", Value::integer(kInterval));
  keys.append(arena, "_growth_tracker", Value::integer(growth_tracker_));
  return state;
}

void LossScaler::load(Value state) {
  const DictNode* keys = state.if_dict();
  if (keys == nullptr) {
    fail(Code::kMismatch,
         "holds no state of a loss scaler: it was not trained with --amp fp16; go on without, or "
         "start from its weights with --load-from");
  }
  const Value* scale = keys->find("scale");
  const Value* tracker = keys->find("_growth_tracker");
  // What is missing or of another kind reads as a number that cannot be.
  const double number = scale == nullptr ? 0 : scale->if_number().value_or(0);
  const std::int64_t count = tracker == nullptr ? -1 : tracker->if_int().value_or(-1);
  if (!is_power_of_two(number)) {
    fail(Code::kCorrupt, "loss scaler: scale reads as {}, expected a power of two", number);
  }
  if (count < 0 || count >= kInterval) {
    fail(Code::kCorrupt, "loss scaler: _growth_tracker reads as {}, expected 0 to {}", count,
         kInterval - 1);
  }
  scale_ = number;
  growth_tracker_ = count;
}

}  // namespace reprise::engine
