#include "engine/optim/gradient.h"

#include "engine/optim/kernels.h"
#include "engine/shards/tree.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace reprise::engine {
namespace {

constexpr std::int64_t kLeafElements = std::int64_t{1} << 16;

// The sum of squares of each leaf.
std::vector<double> squares(const at::Tensor& part, WorkerPool& pool) {
  const float* values = part.const_data_ptr<float>();
  const std::int64_t elements = part.numel();
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
  return leaves;
}

// The same as a tensor of the device: a gradient need not come to the host for its norm.
at::Tensor squares_on_device(const at::Tensor& part) {
  const std::int64_t whole = part.numel() / kLeafElements;
  const std::int64_t in_whole = whole * kLeafElements;
  const at::Tensor rows = part.narrow(0, 0, in_whole).view({whole, kLeafElements});
  const at::Tensor rest = part.narrow(0, in_whole, part.numel() - in_whole).unsqueeze(0);
  const auto norms = [](const at::Tensor& leaves) {
    return at::linalg_vector_norm(leaves, 2, at::IntArrayRef{1}, false, at::kDouble);
  };
  return at::cat({norms(rows), norms(rest)}).square();
}

}  // namespace

double gradient_norm(const at::Tensor& gradient, WorkerPool& pool) {
  return l2_norms({gradient}, pool).front();
}

std::vector<double> l2_norms(const std::vector<at::Tensor>& parts, WorkerPool& pool) {
  std::vector<double> norms;
  if (parts.empty() || parts.front().is_cpu()) {
    for (const at::Tensor& part : parts) norms.push_back(std::sqrt(tree_sum(squares(part, pool))));
    return norms;
  }
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& part : parts) leaves.push_back(squares_on_device(part));
  const at::Tensor all = at::cat(leaves).cpu();
  const double* values = all.const_data_ptr<double>();
  for (const at::Tensor& one : leaves) {
    const auto count = static_cast<std::size_t>(one.numel());
    norms.push_back(std::sqrt(tree_sum({values, count})));
    values += count;
  }
  return norms;
}

float clip_scale(double norm, double max_norm) {
  if (max_norm == 0) return 1;
  return static_cast<float>(std::min(1.0, max_norm / (norm + 1e-6)));
}

}  // namespace reprise::engine
