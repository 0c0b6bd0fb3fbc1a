// Convolutions of few positions and many channels as one matrix product.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace reprise::engine {

// oneDNN's convolutions put the kernel into an order of their own, there and back, for each shard.
// With fewer positions than output channels that takes longer than the convolution; a matrix
// product takes the kernel as it lies. Where this is true is a matter of shapes and types alone, so
// that the same layer of the same shard is computed the same way everywhere: float32 on the CPU,
// `kernel` [out, in, side, side] in channels-last order.
bool suits_product(const at::Tensor& x, const at::Tensor& kernel, std::int64_t stride,
                   std::int64_t padding);

// conv2d(x, kernel) without bias, of x [batch, in, height, width]; result and gradients lie in
// channels-last order. The windows are copied out for the product, `side` squared times x, and
// once more on the way back instead of being kept.
at::Tensor product_convolution(const at::Tensor& x, const at::Tensor& kernel, std::int64_t stride,
                               std::int64_t padding);

}  // namespace reprise::engine
