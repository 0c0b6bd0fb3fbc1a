// Elementwise loops of the optimizers on CPU memory.
#pragma once

#include <cstdint>

namespace reprise::engine::kernels {

// All run over [0, count). They use + - * / and square root of IEEE 754 alone, element by element
// and without contraction, so wider vectors of a newer CPU change the speed and not the bits.
// Arrays do not overlap.

struct Sgd {
  float lr, weight_decay, momentum, gain, scale;  // gain: 1 - dampening
  bool nesterov;
};
// `buffer` may be null when momentum is 0.
void sgd(const Sgd& k, float* weight, const float* gradient, float* buffer, std::int64_t count);

struct Adam {
  float shrink;        // AdamW: 1 - lr * weight_decay; Adam: 1
  float weight_decay;  // Adam: added to the gradient; AdamW: 0
  float one_minus_beta1, beta2, one_minus_beta2;
  float step_size;         // lr / (1 - beta1^t)
  float root_correction2;  // sqrt(1 - beta2^t)
  float eps, scale;
};
void adam(const Adam& k, float* weight, const float* gradient, float* average,
          float* square_average, std::int64_t count);

// v = momentum v + rate (scale g + weight_decay w); w = w - v.
struct Lars {
  float rate, weight_decay, momentum, scale;
};
void lars(const Lars& k, float* weight, const float* gradient, float* buffer, std::int64_t count);

// average = average + rate (current - average).
void blend(float rate, float* average, const float* current, std::int64_t count);

// Sum of squares in float64, in sixteen lanes that are added in a fixed order at the end.
double square_sum(const float* values, std::int64_t count);

}  // namespace reprise::engine::kernels
