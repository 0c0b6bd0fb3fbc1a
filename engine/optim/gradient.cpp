#include "engine/optim/gradient.h"

#include "engine/optim/kernels.h"
#include "engine/shards/tree.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace reprise::engine {

double gradient_norm(const at::Tensor& gradient, WorkerPool& pool) {
  constexpr std::int64_t kLeafElements = std::int64_t{1} << 16;
  const at::Tensor host = gradient.cpu();
  const float* values = host.const_data_ptr<float>();
  const std::int64_t elements = host.numel();
  std::vector<double> leaves(
      static_cast<std::size_t>((elements + kLeafElements - 1) / kLeafElements));
  const auto sum_leaf = [&](std::size_t leaf) {
    const std::int64_t first = static_cast<std::int64_t>(leaf) * kLeafElements;
    leaves[leaf] = kernels::square_sum(values + first, std::min(kLeafElements, elements - first));
  };
  if (leaves.size() == 1) {
    sum_leaf(0);
  } else {
    pool.run(leaves.size(), sum_leaf);
  }
  return std::sqrt(tree_sum(leaves));
}

float clip_scale(double norm, double max_norm) {
  if (max_norm == 0) return 1;
  return static_cast<float>(std::min(1.0, max_norm / (norm + 1e-6)));
}

}  // namespace reprise::engine
