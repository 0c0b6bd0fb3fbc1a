// y = x W^T + b on the fastest kernel there is for it.
#pragma once

#include <ATen/core/Tensor.h>

namespace reprise::engine {

// Differentiable. `x` [..., in], `weight` [out, in], `bias` [out]. For float32 on CPU all three
// products, forward and backward, go through oneDNN, whose kernels are made for the CPU at hand;
// LibTorch's own linear asks MKL, which takes 2.1 to 2.3 times as long on AMD's (measured on 1040
// rows, 192 to 768 columns). Elsewhere it is at::linear. Bits depend on shapes and CPU type alone.
at::Tensor linear_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

}  // namespace reprise::engine
