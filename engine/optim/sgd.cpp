#include "engine/optim/kernels.h"
#include "engine/optim/kinds.h"

#include <ATen/ATen.h>

namespace reprise::engine {
namespace {

// torch.optim.SGD.
class Sgd : public Optimizer {
 public:
  Sgd(const OptimizerOptions& options, const Weights& weights)
      : Optimizer(options, weights.shared_layout(), weights.flat().device(),
                  options.momentum == 0 ? std::vector<std::string>{}
                                        : std::vector<std::string>{"momentum_buffer"}) {}

 protected:
  void update(const Slice& slice, float* weights, const float* gradient) override {
    const kernels::Sgd k{static_cast<float>(slice.lr),
                         static_cast<float>(slice.weight_decay),
                         static_cast<float>(options_.momentum),
                         static_cast<float>(gain()),
                         slice.gradient_scale,
                         options_.nesterov};
    float* buffer = slots_.empty() ? nullptr : slot(0) + slice.offset;
    kernels::sgd(k, weights, gradient, buffer, slice.count);
  }

  void update_on_device(const Slice& slice, at::Tensor weight, at::Tensor gradient) override {
    at::Tensor g = gradient * slice.gradient_scale + slice.weight_decay * weight;
    if (!slots_.empty()) {
      at::Tensor buffer = slot_slice(0, slice);
      buffer.mul_(options_.momentum).add_(g, gain());
      g = options_.nesterov ? g + options_.momentum * buffer : buffer;
    }
    weight.sub_(g, slice.lr);
  }

  void describe_group(Arena& arena, DictNode& group) const override {
    group.append(arena, "momentum", Value::real(options_.momentum));
    group.append(arena, "dampening", Value::real(options_.dampening));
    group.append(arena, "nesterov", Value::boolean(options_.nesterov));
    group.append(arena, "maximize", Value::boolean(false));
    group.append(arena, "foreach", Value());
    group.append(arena, "differentiable", Value::boolean(false));
    group.append(arena, "fused", Value());
  }

 private:
  // The first gradient enters the buffer undampened.
  double gain() const { return steps_ == 1 ? 1 : 1 - options_.dampening; }
};

}  // namespace

std::unique_ptr<Optimizer> make_sgd(const OptimizerOptions& options, const Weights& weights) {
  return std::make_unique<Sgd>(options, weights);
}

}  // namespace reprise::engine
