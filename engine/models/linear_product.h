// y = x W^T + b on the fastest kernel there is for it.
#pragma once

#include <ATen/core/Tensor.h>

namespace reprise::engine {

// Differentiable. `x` [..., in], `weight` [out, in], `bias` [out]. Where it can, all three
// products, forward and backward, are matrix_product()s; elsewhere it is at::linear. Bits depend on
// shapes and CPU type alone.
at::Tensor linear_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

}  // namespace reprise::engine
