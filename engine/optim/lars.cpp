#include "engine/optim/gradient.h"
#include "engine/optim/kernels.h"
#include "engine/optim/kinds.h"

#include <ATen/ATen.h>

#include <cmath>
#include <vector>

namespace reprise::engine {
namespace {

// You, Gitman, Ginsburg: "Large Batch Training of Convolutional Networks" (2017), algorithm 1:
// each layer's rate is lr * trust * |w| / (|g| + weight_decay * |w|). Vectors (biases, norms)
// take the plain rate and no weight decay.
class Lars : public Optimizer {
 public:
  Lars(const OptimizerOptions& options, const Weights& weights)
      : Optimizer(options, weights.shared_layout(), weights.flat().device(), {"momentum_buffer"}) {}

 protected:
  void begin(const at::Tensor& weights, const at::Tensor& gradient, const StepOptions& options,
             WorkerPool& pool) override {
    ratios_.assign(layout_->parameters().size(), 1.0);
    std::vector<Slice> slices;
    std::vector<at::Tensor> parts;  // per slice: its weights, its gradient
    for (const Group& group : groups_) {
      if (!group.decays) continue;
      for (const std::size_t parameter : group.parameters) {
        const Slice& slice = slices.emplace_back(slice_of(group, parameter, options));
        parts.push_back(weights.narrow(0, slice.offset, slice.count));
        parts.push_back(gradient.narrow(0, slice.offset, slice.count));
      }
    }
    const std::vector<double> norms = l2_norms(parts, pool);
    for (std::size_t i = 0; i < slices.size(); ++i) {
      const double weight_norm = norms[2 * i];
      const double norm = norms[2 * i + 1] * static_cast<double>(slices[i].gradient_scale);
      const double divisor = norm + slices[i].weight_decay * weight_norm;
      if (weight_norm > 0 && divisor > 0) {
        ratios_[slices[i].parameter] = options_.trust_coefficient * weight_norm / divisor;
      }
    }
  }

  void update(const Slice& slice, float* weights, const float* gradient) override {
    const kernels::Lars k{static_cast<float>(slice.lr * ratios_[slice.parameter]),
                          static_cast<float>(slice.weight_decay),
                          static_cast<float>(options_.momentum), slice.gradient_scale};
    kernels::lars(k, weights, gradient, slot(0) + slice.offset, slice.count);
  }

  void update_on_device(const Slice& slice, at::Tensor weight, at::Tensor gradient) override {
    const at::Tensor g = gradient * slice.gradient_scale + slice.weight_decay * weight;
    at::Tensor buffer = slot_slice(0, slice);
    buffer.mul_(options_.momentum).add_(g, slice.lr * ratios_[slice.parameter]);
    weight.sub_(buffer);
  }

  void describe_group(Arena& arena, DictNode& group) const override {
    group.append(arena, "momentum", Value::real(options_.momentum));
    group.append(arena, "trust_coefficient", Value::real(options_.trust_coefficient));
  }

 private:
  std::vector<double> ratios_;
};

}  // namespace

std::unique_ptr<Optimizer> make_lars(const OptimizerOptions& options, const Weights& weights) {
  return std::make_unique<Lars>(options, weights);
}

}  // namespace reprise::engine
