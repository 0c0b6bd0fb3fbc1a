#include "engine/models/layers.h"

#include "ckpt/base/error.h"
#include "engine/determinism/op_trace.h"
#include "engine/device/pinned_memory.h"
#include "engine/models/cast_convolution.h"
#include "engine/models/linear_product.h"
#include "engine/models/product_convolution.h"
#include "engine/random/stream.h"

#include <ATen/ATen.h>

#include <span>

namespace reprise::engine {
namespace {

at::Tensor cast(const at::Tensor& x, const Pass& pass) {
  return x.scalar_type() == pass.compute_type ? x : x.to(pass.compute_type);
}

std::span<float> floats(at::Tensor& x) {
  return {x.mutable_data_ptr<float>(), static_cast<std::size_t>(x.numel())};
}

// Drawn on the CPU whatever the device, so that CPU and GPU drop the same elements.
at::Tensor keep_mask(at::IntArrayRef shape, double drop, Stream stream, const at::Tensor& like) {
  at::Tensor mask = staging_tensor(shape, at::kFloat, like.device());
  stream.fill_keep_mask(floats(mask), static_cast<float>(1 - drop));
  return mask.to(like.device(), /*non_blocking=*/true).to(like.scalar_type());
}

}  // namespace

Linear::Linear(Layout& layout, const std::string& name, std::int64_t in, std::int64_t out,
               Init weight, Init bias)
    : weight_(layout.parameter(name + ".weight", {out, in}, weight)),
      bias_(layout.parameter(name + ".bias", {out}, bias)) {}

at::Tensor Linear::operator()(const Weights& weights, const at::Tensor& x, const Pass& pass) const {
  const ModuleScope scope(weights.layout().module_of(weight_));
  return linear_product(cast(x, pass), cast(weights.parameter(weight_), pass),
                        cast(weights.parameter(bias_), pass));
}

Convolution::Convolution(Layout& layout, const std::string& name, std::int64_t in, std::int64_t out,
                         std::int64_t kernel, std::int64_t stride)
    : weight_(layout.kernel(name + ".weight", {out, in, kernel, kernel},
                            Init::kaiming_normal_fan_out(out * kernel * kernel))),
      stride_(stride),
      padding_(kernel / 2) {}

at::Tensor Convolution::operator()(const Weights& weights, const at::Tensor& x,
                                   const Pass& pass) const {
  const ModuleScope scope(weights.layout().module_of(weight_));
  const at::Tensor images = cast(x, pass);
  const at::Tensor& kernel = weights.parameter(weight_);
  if (kernel.scalar_type() != images.scalar_type()) {
    return cast_convolution(images, kernel, stride_, padding_);
  }
  return suits_product(images, kernel, stride_, padding_)
             ? product_convolution(images, kernel, stride_, padding_)
             : at::conv2d(images, kernel, {}, stride_, padding_);
}

BatchNorm::BatchNorm(Layout& layout, const std::string& name, std::int64_t channels)
    : index_(layout.batch_norm(name, channels)) {}

at::Tensor BatchNorm::operator()(const Weights& weights, const at::Tensor& x,
                                 const Pass& pass) const {
  constexpr double kEps = 1e-5;
  const BatchNormSpec& spec = weights.layout().batch_norms()[index_.layer];
  const ModuleScope scope(weights.layout().module_of(index_.weight));
  const at::Tensor& weight = weights.parameter(index_.weight);
  const at::Tensor& bias = weights.parameter(index_.bias);
  if (!pass.training) {
    return at::batch_norm(x, weight, bias, weights.buffer(spec.running_mean),
                          weights.buffer(spec.running_var), false, spec.momentum, kEps, false);
  }
  const std::int64_t count = x.numel() / x.size(1);
  if (count < 2) {
    fail(Code::kUsage,
         "BatchNorm needs more than one value per channel in a shard, found {}; use fewer --shards "
         "or larger images",
         count);
  }
  // With a momentum of 1 the "running" statistics are those of this batch alone.
  const auto options = weight.options().requires_grad(false);
  const at::Tensor mean = at::zeros({spec.channels}, options);
  const at::Tensor variance = at::zeros({spec.channels}, options);
  at::Tensor y = at::batch_norm(x, weight, bias, mean, variance, true, 1.0, kEps, false);
  if (pass.moments != nullptr) (*pass.moments)[index_.layer] = {mean, variance, count};
  return y;
}

LayerNorm::LayerNorm(Layout& layout, const std::string& name, std::int64_t width)
    : weight_(layout.parameter(name + ".weight", {width}, Init::constant(1))),
      bias_(layout.parameter(name + ".bias", {width}, Init::constant(0))),
      width_(width) {}

at::Tensor LayerNorm::operator()(const Weights& weights, const at::Tensor& x,
                                 const Pass& /*pass*/) const {
  const ModuleScope scope(weights.layout().module_of(weight_));
  return at::layer_norm(x, {width_}, weights.parameter(weight_), weights.parameter(bias_), 1e-6,
                        false);
}

Dropout::Dropout(Layout& layout, double probability)
    : probability_(probability), layer_(layout.random_layer()) {}

at::Tensor Dropout::operator()(const at::Tensor& x, const Pass& pass) const {
  if (!pass.training || probability_ == 0) return x;
  const Stream stream(pass.seed, Domain::kDropout, {pass.update, pass.shard, layer_});
  return x * keep_mask(x.sizes(), probability_, stream, x);
}

DropPath::DropPath(Layout& layout, double probability)
    : probability_(probability), layer_(layout.random_layer()) {}

at::Tensor DropPath::operator()(const at::Tensor& branch, const Pass& pass) const {
  if (!pass.training || probability_ == 0) return branch;
  const Stream stream(pass.seed, Domain::kDropPath, {pass.update, pass.shard, layer_});
  std::vector<std::int64_t> shape(static_cast<std::size_t>(branch.dim()), 1);
  shape[0] = branch.size(0);
  return branch * keep_mask(shape, probability_, stream, branch);
}

}  // namespace reprise::engine
