#include "engine/models/checkpointed.h"

#include "engine/device/memory.h"
#include "engine/weights/gradient_sink.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <memory>
#include <vector>

namespace reprise::engine {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using Block = std::function<at::Tensor(const at::Tensor&)>;

// The block rides in a tensor-free holder, because a context keeps IValues only.
struct Holder : torch::CustomClassHolder {
  explicit Holder(Block b) : block(std::move(b)) {}
  Block block;
};

class Checkpointed : public torch::autograd::Function<Checkpointed> {
 public:
  // Autograd is off in here: what the block computes on the way is freed at once.
  static at::Tensor forward(AutogradContext* context, const c10::intrusive_ptr<Holder>& holder,
                            const at::Tensor& x, at::TensorList parameters) {
    variable_list saved{x};
    saved.insert(saved.end(), parameters.begin(), parameters.end());
    context->save_for_backward(std::move(saved));
    context->saved_data["block"] = c10::IValue::make_capsule(holder);
    return holder->block(x);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto holder =
        c10::static_intrusive_pointer_cast<Holder>(context->saved_data["block"].toCapsule());
    const variable_list saved = context->get_saved_variables();
    const at::AutoGradMode with_gradients(true);
    // The input starts a graph of its own; parameters are leaves already.
    const at::Tensor x = saved[0].detach().requires_grad_(saved[0].requires_grad());
    variable_list sources;
    std::vector<bool> wanted;
    for (std::size_t i = 0; i < saved.size(); ++i) {
      const at::Tensor& source = i == 0 ? x : saved[i];
      wanted.push_back(source.requires_grad());
      if (source.requires_grad()) sources.push_back(source);
    }
    const at::Tensor y = [&] {
      const MemoryScope again(MemoryPart::kActivations);
      return holder->block(x);
    }();
    // What it finds here is a part of a gradient; autograd adds the parts.
    const GradientScope kept(nullptr);
    variable_list found = torch::autograd::grad({y}, sources, {gradients[0]}, std::nullopt, false,
                                                /*allow_unused=*/true);
    variable_list all{at::Tensor()};  // of the holder
    std::size_t next = 0;
    for (const bool one : wanted) all.push_back(one ? found[next++] : at::Tensor());
    return all;
  }
};

}  // namespace

at::Tensor checkpointed(const Block& block, const at::Tensor& x, const Weights& weights,
                        ParameterRange parameters, const Pass& pass) {
  if (!pass.activation_checkpointing || !pass.training || !at::GradMode::is_enabled()) {
    return block(x);
  }
  variable_list used;
  for (std::size_t i = parameters.first; i < parameters.last; ++i) {
    used.push_back(weights.parameter(i));
  }
  return Checkpointed::apply(c10::make_intrusive<Holder>(block), x, at::TensorList(used));
}

}  // namespace reprise::engine
