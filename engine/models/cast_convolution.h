// Convolutions computed in another element type than their kernels have.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace reprise::engine {

// conv2d(x, kernel) without bias in the type of `x` [batch, in, height, width], of a `kernel` [out,
// in, side, side] of another type, whose gradient has its own type. The bits are those of autograd
// on kernel.to(type of x). That would keep the converted kernel of each layer for the way back, 51
// MB of a ResNet-50 in bfloat16 a shard; here it is converted once more instead.
// What oneDNN leaves undefined of a kernel's gradient is 0.
at::Tensor cast_convolution(const at::Tensor& x, const at::Tensor& kernel, std::int64_t stride,
                            std::int64_t padding);

}  // namespace reprise::engine
