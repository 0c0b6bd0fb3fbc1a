#include "engine/models/dino_head.h"

#include "engine/models/linear_product.h"

#include <ATen/ATen.h>

namespace reprise::engine {
namespace {

// torch.nn.functional.normalize over the last dimension.
at::Tensor of_length_one(const at::Tensor& x) { return x / x.norm(2, {-1}, true).clamp_min(1e-12); }

}  // namespace

DinoHead::DinoHead(Layout& layout, const std::string& prefix, std::int64_t in,
                   const DinoHeadOptions& options) {
  const Init weight = Init::truncated_normal(0.02);
  const Init bias = Init::constant(0);
  first_ = Linear(layout, prefix + "mlp.0", in, options.hidden, weight, bias);
  second_ = Linear(layout, prefix + "mlp.2", options.hidden, options.hidden, weight, bias);
  third_ = Linear(layout, prefix + "mlp.4", options.hidden, options.bottleneck, weight, bias);
  weight_g_ =
      layout.parameter(prefix + "last_layer.weight_g", {options.outputs, 1}, Init::constant(1));
  weight_v_ =
      layout.parameter(prefix + "last_layer.weight_v", {options.outputs, options.bottleneck},
                       Init::torch_default(options.bottleneck));
  if (options.norm_last_layer) layout.freeze(prefix + "last_layer.weight_g");
}

at::Tensor DinoHead::operator()(const Weights& weights, const at::Tensor& features,
                                const Pass& pass) const {
  at::Tensor x = at::gelu(first_(weights, features, pass));
  x = at::gelu(second_(weights, x, pass));
  x = third_(weights, x, pass).to(at::kFloat);
  const at::Tensor& v = weights.parameter(weight_v_);
  const at::Tensor rows = v * (weights.parameter(weight_g_) / v.norm(2, {1}, true));
  const at::Tensor no_bias = at::zeros({rows.size(0)}, v.options().dtype(pass.compute_type));
  return linear_product(of_length_one(x).to(pass.compute_type), rows.to(pass.compute_type), no_bias)
      .to(at::kFloat);
}

}  // namespace reprise::engine
