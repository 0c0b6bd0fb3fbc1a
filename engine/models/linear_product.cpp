#include "engine/models/linear_product.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>
#include <string_view>

namespace reprise::engine {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// x W^T + b of matrices. LibTorch has the op for its own compiler; the name is not in its C++
// headers.
at::Tensor onednn_product(const at::Tensor& x, const at::Tensor& weight,
                          const std::optional<at::Tensor>& bias) {
  using Scalars = c10::List<std::optional<at::Scalar>>;
  static const auto kOp =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("mkldnn::_linear_pointwise", "")
          .typed<at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                            std::string_view, Scalars, std::optional<std::string_view>)>();
  return kOp.call(x, weight, bias, "none", Scalars(), std::nullopt);
}

class LinearProduct : public torch::autograd::Function<LinearProduct> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias) {
    context->save_for_backward({x, weight});
    return onednn_product(x, weight, bias);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& weight = saved[1];
    const at::Tensor x = saved[0].reshape({-1, weight.size(1)});
    const at::Tensor gradient = gradients[0].reshape({-1, weight.size(0)});
    variable_list all(3);
    if (context->needs_input_grad(0)) {
      all[0] = onednn_product(gradient, weight.t(), {}).view(saved[0].sizes());
    }
    if (context->needs_input_grad(1)) all[1] = onednn_product(gradient.t(), x.t(), {});
    if (context->needs_input_grad(2)) all[2] = gradient.sum(0);
    return all;
  }
};

}  // namespace

at::Tensor linear_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const bool fits = x.is_cpu() && x.scalar_type() == at::kFloat &&
                    weight.scalar_type() == at::kFloat && x.numel() > 0 && at::hasMKLDNN() &&
                    at::globalContext().userEnabledMkldnn();
  return fits ? LinearProduct::apply(x, weight, bias) : at::linear(x, weight, bias);
}

}  // namespace reprise::engine
