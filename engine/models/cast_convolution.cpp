#include "engine/models/cast_convolution.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>

namespace reprise::engine {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Columns (or rows) of the kernel that meet padding alone, wherever it stands on an image of
// `size`, have the gradient 0. Where bfloat16 images are one pixel wide and the stride is above 1,
// oneDNN leaves there what the memory held (as LibTorch 2.11 has it).
void clear_untouched(const at::Tensor& to_kernel, std::int64_t dimension, std::int64_t size,
                     std::int64_t positions, std::int64_t stride, std::int64_t padding) {
  for (std::int64_t tap = 0; tap < to_kernel.size(dimension); ++tap) {
    bool meets_image = false;
    for (std::int64_t i = 0; i < positions && !meets_image; ++i) {
      const std::int64_t place = i * stride + tap - padding;
      meets_image = place >= 0 && place < size;
    }
    if (!meets_image) to_kernel.select(dimension, tap).zero_();
  }
}

class CastConvolution : public torch::autograd::Function<CastConvolution> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& kernel,
                            std::int64_t stride, std::int64_t padding) {
    context->save_for_backward({x, kernel});
    context->saved_data["stride"] = stride;
    context->saved_data["padding"] = padding;
    return at::conv2d(x, kernel.to(x.scalar_type()), {}, stride, padding);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor& kernel = saved[1];
    const std::int64_t stride = context->saved_data["stride"].toInt();
    const std::int64_t padding = context->saved_data["padding"].toInt();
    const auto [to_x, to_kernel, to_bias] = at::convolution_backward(
        gradients[0], x, kernel.to(x.scalar_type()), /*bias_sizes=*/std::nullopt, {stride, stride},
        {padding, padding}, /*dilation=*/{1, 1}, /*transposed=*/false, /*output_padding=*/{0, 0},
        /*groups=*/1, {context->needs_input_grad(0), context->needs_input_grad(1), false});
    variable_list all(4);
    all[0] = to_x;
    if (to_kernel.defined()) {
      for (const std::int64_t dimension : {2, 3}) {
        clear_untouched(to_kernel, dimension, x.size(dimension), gradients[0].size(dimension),
                        stride, padding);
      }
      all[1] = to_kernel.to(kernel.scalar_type());
    }
    return all;
  }
};

}  // namespace

at::Tensor cast_convolution(const at::Tensor& x, const at::Tensor& kernel, std::int64_t stride,
                            std::int64_t padding) {
  return CastConvolution::apply(x, kernel, stride, padding);
}

}  // namespace reprise::engine
