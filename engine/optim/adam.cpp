#include "engine/optim/kernels.h"
#include "engine/optim/kinds.h"

#include <ATen/ATen.h>

#include <cmath>

namespace reprise::engine {
namespace {

// torch.optim.Adam and torch.optim.AdamW.
class Adam : public Optimizer {
 public:
  Adam(const OptimizerOptions& options, const Weights& weights)
      : Optimizer(options, weights.shared_layout(), weights.flat().device(),
                  {"exp_avg", "exp_avg_sq"}),
        decoupled_(options.name == "adamw") {}

 protected:
  void begin(const at::Tensor&, const at::Tensor&, const StepOptions&, WorkerPool&) override {
    corrections_.resize(parameter_steps_.size());
    std::uint64_t steps = 0;
    Correction correction;
    for (std::size_t i = 0; i < corrections_.size(); ++i) {
      // All but a few have been updated equally often.
      if (parameter_steps_[i] != steps) {
        steps = parameter_steps_[i];
        const auto t = static_cast<double>(steps);
        correction.first = 1 - std::pow(options_.beta1, t);
        correction.root_second = std::sqrt(1 - std::pow(options_.beta2, t));
      }
      corrections_[i] = correction;
    }
  }

  void update(const Slice& slice, float* weights, const float* gradient) override {
    const Correction& correction = corrections_[slice.parameter];
    const kernels::Adam k{static_cast<float>(decoupled_ ? 1 - slice.lr * slice.weight_decay : 1),
                          static_cast<float>(decoupled_ ? 0 : slice.weight_decay),
                          static_cast<float>(1 - options_.beta1),
                          static_cast<float>(options_.beta2),
                          static_cast<float>(1 - options_.beta2),
                          static_cast<float>(slice.lr / correction.first),
                          static_cast<float>(correction.root_second),
                          static_cast<float>(options_.eps),
                          slice.gradient_scale};
    kernels::adam(k, weights, gradient, slot(0) + slice.offset, slot(1) + slice.offset,
                  slice.count);
  }

  void update_on_device(const Slice& slice, at::Tensor weight, at::Tensor gradient) override {
    if (decoupled_) weight.mul_(1 - slice.lr * slice.weight_decay);
    at::Tensor g = gradient * slice.gradient_scale;
    if (!decoupled_) g = g + slice.weight_decay * weight;
    at::Tensor average = slot_slice(0, slice);
    at::Tensor square_average = slot_slice(1, slice);
    average.lerp_(g, 1 - options_.beta1);
    square_average.mul_(options_.beta2).addcmul_(g, g, 1 - options_.beta2);
    const Correction& correction = corrections_[slice.parameter];
    const at::Tensor divisor =
        square_average.sqrt().div_(correction.root_second).add_(options_.eps);
    weight.addcdiv_(average, divisor, -slice.lr / correction.first);
  }

  void describe_group(Arena& arena, DictNode& group) const override {
    const Value betas[] = {Value::real(options_.beta1), Value::real(options_.beta2)};
    group.append(arena, "betas", arena.tuple(betas));
    group.append(arena, "eps", Value::real(options_.eps));
    group.append(arena, "amsgrad", Value::boolean(false));
    group.append(arena, "maximize", Value::boolean(false));
    group.append(arena, "foreach", Value());
    group.append(arena, "capturable", Value::boolean(false));
    group.append(arena, "differentiable", Value::boolean(false));
    group.append(arena, "fused", Value());
    group.append(arena, "decoupled_weight_decay", Value::boolean(decoupled_));
  }

  bool counts_steps() const override { return true; }

 private:
  // Of the bias of the averages towards their start at zero.
  struct Correction {
    double first = 1;
    double root_second = 1;
  };
  bool decoupled_;
  std::vector<Correction> corrections_;  // by parameter
};

}  // namespace

std::unique_ptr<Optimizer> make_adam(const OptimizerOptions& options, const Weights& weights) {
  return std::make_unique<Adam>(options, weights);
}

}  // namespace reprise::engine
