#include "engine/models/linear_product.h"

#include "engine/models/matrix_product.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

namespace reprise::engine {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class LinearProduct : public torch::autograd::Function<LinearProduct> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias) {
    context->save_for_backward({x, weight});
    return matrix_product(x, weight, bias);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& weight = saved[1];
    const at::Tensor x = saved[0].reshape({-1, weight.size(1)});
    const at::Tensor gradient = gradients[0].reshape({-1, weight.size(0)});
    variable_list all(3);
    if (context->needs_input_grad(0)) {
      all[0] = matrix_product(gradient, weight.t(), {}).view(saved[0].sizes());
    }
    if (context->needs_input_grad(1)) all[1] = matrix_product(gradient.t(), x.t(), {});
    if (context->needs_input_grad(2)) all[2] = gradient.sum(0);
    return all;
  }
};

}  // namespace

at::Tensor linear_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return fits_matrix_product(x, weight) ? LinearProduct::apply(x, weight, bias)
                                        : at::linear(x, weight, bias);
}

}  // namespace reprise::engine
