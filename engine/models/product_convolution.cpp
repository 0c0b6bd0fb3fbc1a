#include "engine/models/product_convolution.h"

#include "engine/models/matrix_product.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

namespace reprise::engine {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Geometry {
  std::int64_t batch, channels, side, stride, padding;
  std::int64_t padded_height, padded_width, height, width;  // of the input, of the output

  Geometry(const at::Tensor& x, const at::Tensor& kernel, std::int64_t step, std::int64_t border)
      : batch(x.size(0)),
        channels(x.size(1)),
        side(kernel.size(2)),
        stride(step),
        padding(border),
        padded_height(x.size(2) + 2 * border),
        padded_width(x.size(3) + 2 * border),
        height((padded_height - side) / step + 1),
        width((padded_width - side) / step + 1) {}

  std::int64_t positions() const { return batch * height * width; }
};

at::Tensor channels_last(const at::Tensor& x) { return x.permute({0, 2, 3, 1}); }
at::Tensor channels_second(const at::Tensor& x) { return x.permute({0, 3, 1, 2}); }

// [positions, side * side * channels], without gaps, for which oneDNN has its slowest kernel: what
// each position of the output sees.
at::Tensor windows(const at::Tensor& x, const Geometry& g) {
  const std::int64_t p = g.padding;
  at::Tensor rows = channels_last(x);
  if (p > 0) rows = at::constant_pad_nd(rows, {0, 0, p, p, p, p});
  return rows.unfold(1, g.side, g.stride)
      .unfold(2, g.side, g.stride)
      .permute({0, 1, 2, 4, 5, 3})
      .reshape({g.positions(), g.side * g.side * g.channels})
      .contiguous();
}

// The other way: adds what windows give to each place of the input.
at::Tensor unwindowed(const at::Tensor& rows, const Geometry& g) {
  const at::Tensor parts = rows.view({g.batch, g.height, g.width, g.side, g.side, g.channels});
  at::Tensor padded =
      at::zeros({g.batch, g.padded_height, g.padded_width, g.channels}, rows.options());
  for (std::int64_t y = 0; y < g.side; ++y) {
    for (std::int64_t x = 0; x < g.side; ++x) {
      padded.slice(1, y, y + g.stride * (g.height - 1) + 1, g.stride)
          .slice(2, x, x + g.stride * (g.width - 1) + 1, g.stride)
          .add_(parts.select(3, y).select(3, x));
    }
  }
  const at::Tensor inner = padded.narrow(1, g.padding, g.padded_height - 2 * g.padding)
                               .narrow(2, g.padding, g.padded_width - 2 * g.padding);
  return channels_second(inner.contiguous());
}

// [out, side * side * channels], a view.
at::Tensor matrix_of(const at::Tensor& kernel) {
  return channels_last(kernel).reshape({kernel.size(0), -1});
}

class ProductConvolution : public torch::autograd::Function<ProductConvolution> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& kernel,
                            std::int64_t stride, std::int64_t padding) {
    context->save_for_backward({x, kernel});
    context->saved_data["stride"] = stride;
    context->saved_data["padding"] = padding;
    const Geometry g(x, kernel, stride, padding);
    const at::Tensor y = matrix_product(windows(x, g), matrix_of(kernel));
    return channels_second(y.view({g.batch, g.height, g.width, kernel.size(0)}));
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor& kernel = saved[1];
    const Geometry g(x, kernel, context->saved_data["stride"].toInt(),
                     context->saved_data["padding"].toInt());
    const std::int64_t out = kernel.size(0);
    const at::Tensor gradient =
        channels_last(gradients[0]).reshape({g.positions(), out}).contiguous();
    variable_list all(4);
    if (context->needs_input_grad(0)) {
      all[0] = unwindowed(matrix_product(gradient, matrix_of(kernel).t()), g);
    }
    if (context->needs_input_grad(1)) {
      all[1] = channels_second(
          matrix_product(gradient.t(), windows(x, g).t()).view({out, g.side, g.side, g.channels}));
    }
    return all;
  }
};

}  // namespace

bool suits_product(const at::Tensor& x, const at::Tensor& kernel, std::int64_t stride,
                   std::int64_t padding) {
  if (!fits_matrix_product(x, kernel) || !kernel.is_contiguous(at::MemoryFormat::ChannelsLast)) {
    return false;
  }
  return Geometry(x, kernel, stride, padding).positions() <= kernel.size(0);
}

at::Tensor product_convolution(const at::Tensor& x, const at::Tensor& kernel, std::int64_t stride,
                               std::int64_t padding) {
  return ProductConvolution::apply(x, kernel, stride, padding);
}

}  // namespace reprise::engine
