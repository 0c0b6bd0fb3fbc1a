// SGD, Adam, AdamW and LARS over flat buffers, with PyTorch's arithmetic and PyTorch's state.
#pragma once

#include "ckpt/state/value.h"
#include "engine/weights/weights.h"
#include "engine/workers/worker_pool.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace reprise::engine {

struct OptimizerOptions {
  std::string name = "sgd";  // sgd, adam, adamw, lars
  double lr = 0.1;           // what state dicts show until the first step
  double weight_decay = 0;
  double momentum = 0.9;  // sgd, lars
  bool nesterov = false;  // sgd
  double dampening = 0;   // sgd
  double beta1 = 0.9;     // adam, adamw
  double beta2 = 0.999;
  double eps = 1e-8;                // adam, adamw; LARS adds none
  double trust_coefficient = 1e-3;  // lars
  // Parameters with one dimension or none (biases, norms) in a group of their own without
  // weight decay (and, in LARS, without adaptation). LARS always does so, as its paper does.
  bool no_decay_for_vectors = false;
  // Factors on the learning rate by longest matching name prefix: {"head.", 10}.
  std::vector<std::pair<std::string, double>> lr_factors;
};

// What changes from update to update.
struct StepOptions {
  double lr = 0;
  double weight_decay = 0;
  // Each gradient element is multiplied by it first: clipping, loss scale.
  float gradient_scale = 1;
  // Parameters (indices in the layout) that stay as they are, as those without a gradient in
  // PyTorch: no decay, no momentum, no step counted.
  std::vector<std::size_t> skipped;
};

// Elementwise in a fixed order, so bits do not depend on the number of threads. Follows
// torch.optim's single-tensor CPU arithmetic operation by operation; LARS: You, Gitman,
// Ginsburg 2017, equations 5 to 7. State lies in flat buffers with the layout of the weights.
// Used from one thread.
class Optimizer {
 public:
  virtual ~Optimizer() = default;

  const OptimizerOptions& options() const { return options_; }
  std::uint64_t steps() const { return steps_; }

  // One update of the trainable parameters from `gradient`, laid out like Weights::flat().
  // On CPU one fused pass over memory on the pool's threads. Errors: none but kInternal.
  void step(Weights& weights, const at::Tensor& gradient, const StepOptions& options,
            WorkerPool& pool);

  // PyTorch's Optimizer.state_dict(): {"state": {index: {...}}, "param_groups": [...]}, which
  // torch.optim's class of the same name loads. Indices number trainable parameters group by
  // group. Tensors are views of this optimizer's memory: snapshot before the next step.
  Value state(Arena& arena) const;
  // Takes over such a state, ours or PyTorch's: momentum, steps, and the last lr and weight
  // decay; `step` may be an int or a tensor. A state saved before the first step has none.
  // Errors: kMismatch naming group, parameter or shape that does not fit, or the other
  // optimizer it is of; kCorrupt for values of the wrong kind. On an error nothing changes.
  void load(Value state);

 protected:
  struct Group {
    std::vector<std::size_t> parameters;  // indices in the layout
    double lr_factor = 1;
    bool decays = true;
  };
  // A run of elements within one parameter.
  struct Slice {
    std::int64_t offset = 0;  // in flat buffers
    std::int64_t count = 0;
    double lr = 0;  // of its group
    double weight_decay = 0;
    float gradient_scale = 1;
    std::size_t parameter = 0;  // index in the layout
    bool decays = true;
  };
  Optimizer(OptimizerOptions options, std::shared_ptr<const Layout> layout, c10::Device device,
            std::vector<std::string> slots);

  // Called once before the slices of a step, which are then updated in any order and on several
  // threads. steps_ counts the step under way already.
  virtual void begin(const at::Tensor& /*weights*/, const at::Tensor& /*gradient*/,
                     const StepOptions& /*options*/, WorkerPool& /*pool*/) {}
  virtual void update(const Slice& slice, float* weights, const float* gradient) = 0;
  // The same in LibTorch's ops, for a whole parameter on a GPU.
  virtual void update_on_device(const Slice& slice, at::Tensor weight, at::Tensor gradient) = 0;
  // PyTorch's keys of a param_group besides lr, weight_decay and params.
  virtual void describe_group(Arena& arena, DictNode& group) const = 0;
  // Whether the state of each parameter counts steps (Adam does).
  virtual bool counts_steps() const { return false; }

  float* slot(std::size_t index) { return slots_[index].second.mutable_data_ptr<float>(); }
  at::Tensor slot_slice(std::size_t index, const Slice& slice) const;
  Slice slice_of(const Group& group, std::size_t parameter, const StepOptions& options) const;

  OptimizerOptions options_;
  std::shared_ptr<const Layout> layout_;
  c10::Device device_;
  std::vector<Group> groups_;
  std::uint64_t steps_ = 0;
  // Of each parameter of the layout: what state dicts call its `step`.
  std::vector<std::uint64_t> parameter_steps_;
  StepOptions last_;
  // Name in PyTorch's state and flat values, zero before the first step.
  std::vector<std::pair<std::string, at::Tensor>> slots_;
};

// Errors: kUsage for an unknown name, with the nearest one, or a value out of range.
std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options, const Weights& weights);

// For `--list optimizer`: names and one line each.
std::vector<std::pair<std::string, std::string>> optimizers();

}  // namespace reprise::engine
