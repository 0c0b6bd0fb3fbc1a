// Products of float32 matrices on the CPU, by oneDNN.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace reprise::engine {

// a b^T, and `bias` added to each row: `a` [..., k], `b` [n, k], `bias` [n]; transposed views are
// taken as they lie. Without autograd. oneDNN's kernels are made for the CPU at hand; MKL, which
// LibTorch asks, takes 2.1 to 2.3 times as long on AMD's (measured on 1040 rows, 192 to 768
// columns). Bits depend on shapes and CPU type alone.
at::Tensor matrix_product(const at::Tensor& a, const at::Tensor& b,
                          const std::optional<at::Tensor>& bias = {});

// Whether it can be asked: both float32 on the CPU, not empty, and oneDNN there.
bool fits_matrix_product(const at::Tensor& a, const at::Tensor& b);

}  // namespace reprise::engine
