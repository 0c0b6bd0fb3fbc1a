#include "engine/shards/gradient_tree.h"

#include "ckpt/base/error.h"
#include "engine/shards/tree.h"

#include <ATen/ATen.h>

#include <mutex>
#include <optional>
#include <utility>

namespace reprise::engine {
namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

// The sum of a subtree: still the tensors of one leaf as autograd made them, or a flat buffer.
struct Sum {
  std::vector<at::Tensor> tensors;
  at::Tensor extra;
  at::Tensor flat;
};

struct Node {
  std::size_t parent = kNone;
  bool is_left = false;
  // The half that came first waits here for the other one.
  std::optional<Sum> waiting;
};

}  // namespace

struct GradientTree::State {
  std::shared_ptr<const Layout> layout;
  std::vector<const ParameterSpec*> trainable;
  std::int64_t extra_elements = 0;
  c10::Device device = c10::kCPU;
  std::mutex mutex;
  std::vector<Node> nodes;
  std::vector<std::size_t> leaf_nodes;
  std::vector<at::Tensor> spare;  // flat buffers nobody uses; their padding is zero
  at::Tensor root;

  std::size_t build(std::uint64_t leaves, std::size_t parent, bool is_left) {
    const std::size_t index = nodes.size();
    nodes.push_back({parent, is_left, std::nullopt});
    if (leaves == 1) {
      leaf_nodes.push_back(index);
    } else {
      const std::uint64_t left = left_leaves(leaves);
      build(left, index, true);
      build(leaves - left, index, false);
    }
    return index;
  }

  at::Tensor take_flat() {
    {
      const std::lock_guard lock(mutex);
      if (!spare.empty()) {
        at::Tensor flat = std::move(spare.back());
        spare.pop_back();
        return flat;
      }
    }
    return at::zeros({layout->flat_elements() + extra_elements},
                     at::TensorOptions(at::kFloat).device(device));
  }

  void give_flat(at::Tensor flat) {
    const std::lock_guard lock(mutex);
    spare.push_back(std::move(flat));
  }

  at::Tensor slot(const at::Tensor& flat, const ParameterSpec& spec) const {
    return flat.narrow(0, spec.offset, spec.elements).view(spec.shape);
  }
  at::Tensor extra_slot(const at::Tensor& flat) const {
    return flat.narrow(0, layout->flat_elements(), extra_elements);
  }

  Sum flattened(Sum sum) {
    if (sum.flat.defined()) return sum;
    at::Tensor flat = take_flat();
    for (std::size_t i = 0; i < trainable.size(); ++i) {
      at::Tensor target = slot(flat, *trainable[i]);
      if (sum.tensors[i].defined()) {
        target.copy_(sum.tensors[i]);
      } else {
        target.zero_();
      }
    }
    if (extra_elements > 0) extra_slot(flat).copy_(sum.extra);
    return {{}, {}, std::move(flat)};
  }

  Sum added(Sum left, Sum right) {
    if (!left.flat.defined() && !right.flat.defined()) {
      at::Tensor flat = take_flat();
      for (std::size_t i = 0; i < trainable.size(); ++i) {
        at::Tensor target = slot(flat, *trainable[i]);
        const at::Tensor& a = left.tensors[i];
        const at::Tensor& b = right.tensors[i];
        if (a.defined() && b.defined()) {
          at::add_out(target, a, b);
        } else if (a.defined() || b.defined()) {
          target.copy_(a.defined() ? a : b);
        } else {
          target.zero_();
        }
      }
      if (extra_elements > 0) {
        at::Tensor target = extra_slot(flat);
        at::add_out(target, left.extra, right.extra);
      }
      return {{}, {}, std::move(flat)};
    }
    // a + b and b + a are the same bits, so the sum may grow in either buffer.
    if (!left.flat.defined()) std::swap(left, right);
    if (right.flat.defined()) {
      left.flat.add_(right.flat);
      give_flat(std::move(right.flat));
      return left;
    }
    for (std::size_t i = 0; i < trainable.size(); ++i) {
      if (right.tensors[i].defined()) slot(left.flat, *trainable[i]).add_(right.tensors[i]);
    }
    if (extra_elements > 0) extra_slot(left.flat).add_(right.extra);
    return left;
  }
};

GradientTree::GradientTree(std::shared_ptr<const Layout> layout, std::int64_t extra_elements,
                           c10::Device device, std::uint64_t leaves)
    : state_(std::make_unique<State>()) {
  state_->layout = std::move(layout);
  for (const ParameterSpec& spec : state_->layout->parameters()) {
    if (spec.trainable) state_->trainable.push_back(&spec);
  }
  state_->extra_elements = extra_elements;
  state_->device = device;
  state_->build(leaves, kNone, false);
}

GradientTree::~GradientTree() = default;

void GradientTree::add(std::uint64_t leaf, std::vector<at::Tensor> gradients, at::Tensor extra) {
  State& state = *state_;
  const at::NoGradGuard no_gradients;
  Sum sum{std::move(gradients), std::move(extra), {}};
  std::size_t node = state.leaf_nodes[leaf];
  while (state.nodes[node].parent != kNone) {
    const std::size_t parent = state.nodes[node].parent;
    std::optional<Sum> sibling;
    {
      const std::lock_guard lock(state.mutex);
      std::optional<Sum>& waiting = state.nodes[parent].waiting;
      if (!waiting) {
        waiting = std::move(sum);
        return;
      }
      sibling = std::exchange(waiting, std::nullopt);
    }
    sum = state.nodes[node].is_left ? state.added(std::move(sum), std::move(*sibling))
                                    : state.added(std::move(*sibling), std::move(sum));
    node = parent;
  }
  at::Tensor root = state.flattened(std::move(sum)).flat;
  const std::lock_guard lock(state.mutex);
  state.root = std::move(root);
}

const at::Tensor& GradientTree::sum() const {
  if (!state_->root.defined()) fail(Code::kInternal, "the gradients of some shards are missing");
  return state_->root;
}

void GradientTree::reset() {
  const std::lock_guard lock(state_->mutex);
  for (Node& node : state_->nodes) {
    if (node.waiting && node.waiting->flat.defined()) {
      state_->spare.push_back(std::move(node.waiting->flat));
    }
    node.waiting.reset();
  }
  if (state_->root.defined()) state_->spare.push_back(std::move(state_->root));
  state_->root = at::Tensor();
}

}  // namespace reprise::engine
