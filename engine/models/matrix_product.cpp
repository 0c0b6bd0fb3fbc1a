#include "engine/models/matrix_product.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <string_view>

namespace reprise::engine {

// LibTorch has the op for its own compiler; the name is not in its C++ headers.
at::Tensor matrix_product(const at::Tensor& a, const at::Tensor& b,
                          const std::optional<at::Tensor>& bias) {
  using Scalars = c10::List<std::optional<at::Scalar>>;
  static const auto kOp =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("mkldnn::_linear_pointwise", "")
          .typed<at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                            std::string_view, Scalars, std::optional<std::string_view>)>();
  return kOp.call(a, b, bias, "none", Scalars(), std::nullopt);
}

bool fits_matrix_product(const at::Tensor& a, const at::Tensor& b) {
  return a.is_cpu() && a.scalar_type() == at::kFloat && b.scalar_type() == at::kFloat &&
         a.numel() > 0 && at::hasMKLDNN() && at::globalContext().userEnabledMkldnn();
}

}  // namespace reprise::engine
