#include "engine/optim/kernels.h"

#include <array>
#include <cmath>

// The same source three times, chosen once at start by the CPU. -ffp-contract=off keeps
// multiplications and additions apart in all of them.
#define REPRISE_WIDE __attribute__((target_clones("avx512f", "avx2", "default")))

namespace reprise::engine::kernels {

REPRISE_WIDE void sgd(const Sgd& k, float* __restrict weight, const float* __restrict gradient,
                      float* __restrict buffer, std::int64_t count) {
  const Sgd c = k;
  if (c.momentum == 0) {
    for (std::int64_t i = 0; i < count; ++i) {
      const float g = gradient[i] * c.scale + c.weight_decay * weight[i];
      weight[i] = weight[i] - c.lr * g;
    }
    return;
  }
  if (c.nesterov) {
    for (std::int64_t i = 0; i < count; ++i) {
      const float g = gradient[i] * c.scale + c.weight_decay * weight[i];
      const float v = c.momentum * buffer[i] + c.gain * g;
      buffer[i] = v;
      weight[i] = weight[i] - c.lr * (g + c.momentum * v);
    }
    return;
  }
  for (std::int64_t i = 0; i < count; ++i) {
    const float g = gradient[i] * c.scale + c.weight_decay * weight[i];
    const float v = c.momentum * buffer[i] + c.gain * g;
    buffer[i] = v;
    weight[i] = weight[i] - c.lr * v;
  }
}

REPRISE_WIDE void adam(const Adam& k, float* __restrict weight, const float* __restrict gradient,
                       float* __restrict average, float* __restrict square_average,
                       std::int64_t count) {
  const Adam c = k;
  for (std::int64_t i = 0; i < count; ++i) {
    const float w = weight[i] * c.shrink;
    const float g = gradient[i] * c.scale + c.weight_decay * w;
    const float m = average[i] + c.one_minus_beta1 * (g - average[i]);
    const float v = square_average[i] * c.beta2 + c.one_minus_beta2 * g * g;
    average[i] = m;
    square_average[i] = v;
    weight[i] = w - c.step_size * m / (std::sqrt(v) / c.root_correction2 + c.eps);
  }
}

REPRISE_WIDE void lars(const Lars& k, float* __restrict weight, const float* __restrict gradient,
                       float* __restrict buffer, std::int64_t count) {
  const Lars c = k;
  for (std::int64_t i = 0; i < count; ++i) {
    const float g = gradient[i] * c.scale + c.weight_decay * weight[i];
    const float v = c.momentum * buffer[i] + c.rate * g;
    buffer[i] = v;
    weight[i] = weight[i] - v;
  }
}

REPRISE_WIDE void blend(float rate, float* __restrict average, const float* __restrict current,
                        std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    average[i] = average[i] + rate * (current[i] - average[i]);
  }
}

REPRISE_WIDE double square_sum(const float* values, std::int64_t count) {
  constexpr std::int64_t kLanes = 16;
  std::array<double, kLanes> lanes{};
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::int64_t j = 0; j < kLanes; ++j) {
      const auto x = static_cast<double>(values[i + j]);
      lanes[static_cast<std::size_t>(j)] += x * x;
    }
  }
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  for (; i < count; ++i) {
    const auto x = static_cast<double>(values[i]);
    sum += x * x;
  }
  return sum;
}

}  // namespace reprise::engine::kernels
