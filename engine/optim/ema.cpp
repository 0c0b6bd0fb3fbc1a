#include "engine/optim/ema.h"

#include "engine/optim/kernels.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace reprise::engine {

void update_parameter_average(Weights& average, const Weights& current, double decay,
                              WorkerPool& pool) {
  constexpr std::int64_t kPieceElements = std::int64_t{1} << 16;
  const at::NoGradGuard no_gradients;
  const std::int64_t elements = current.flat().numel();
  if (current.flat().is_cpu()) {
    float* target = average.flat().mutable_data_ptr<float>();
    const float* source = current.flat().const_data_ptr<float>();
    const auto pieces = static_cast<std::size_t>((elements + kPieceElements - 1) / kPieceElements);
    pool.run(pieces, [&](std::size_t piece) {
      const std::int64_t first = static_cast<std::int64_t>(piece) * kPieceElements;
      kernels::blend(static_cast<float>(1 - decay), target + first, source + first,
                     std::min(kPieceElements, elements - first));
    });
  } else {
    at::Tensor flat = average.flat();
    flat.lerp_(current.flat(), 1 - decay);
  }
}

void update_average(Weights& average, const Weights& current, double decay, WorkerPool& pool) {
  const at::NoGradGuard no_gradients;
  update_parameter_average(average, current, decay, pool);
  for (std::size_t i = 0; i < current.buffers().size(); ++i) {
    at::Tensor target = average.buffer(i);
    const at::Tensor& source = current.buffer(i);
    if (target.is_floating_point()) {
      target.copy_(target + static_cast<float>(1 - decay) * (source - target));
    } else {
      target.copy_(source);
    }
  }
}

}  // namespace reprise::engine
