#include "engine/shards/gradient_tree.h"

#include "ckpt/base/error.h"
#include "engine/shards/tree.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace reprise::engine {
namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

// 4 MiB: small enough that a ViT-tiny has several, large enough that a message is worth sending.
constexpr std::int64_t kPieceElements = std::int64_t{1} << 20;

// A stretch of the root, in elements.
struct Piece {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

// The sum of a subtree for one parameter.
struct Sum {
  at::Tensor tensor;  // undefined: zeros
  // Made here and nobody else's, so the sum may grow in it.
  bool ours = false;
};

struct Node {
  std::size_t parent = kNone;
  bool is_left = false;
  // By slot: the half that came first waits here for the other one.
  std::vector<std::optional<Sum>> waiting;
};

// Left before right, always: the order changes no number, but which of two NaNs is left.
Sum added(Sum left, Sum right) {
  if (!left.tensor.defined()) return right;
  if (!right.tensor.defined()) return left;
  if (left.ours) {
    left.tensor.add_(right.tensor);
    return left;
  }
  if (right.ours) {
    at::add_out(right.tensor, left.tensor, right.tensor);
    return right;
  }
  return {at::add(left.tensor, right.tensor), true};
}

}  // namespace

struct GradientTree::State {
  // What is summed: a trainable parameter or, as the last one, the extra numbers.
  struct Slot {
    at::Tensor target;  // its place in the sum, in its shape
    std::size_t piece = 0;
  };
  std::vector<Slot> slots;
  std::vector<std::size_t> slot_of_parameter;
  std::size_t extra_slot = kNone;
  std::vector<Node> nodes;
  std::vector<std::size_t> leaf_nodes;
  at::Tensor root;
  std::vector<Piece> pieces;

  std::mutex mutex;  // of what follows, and of Node::waiting
  std::condition_variable finished;
  std::vector<std::size_t> missing;  // slots by piece
  bool given_up = false;

  std::size_t build(std::uint64_t leaves, std::size_t parent, bool is_left) {
    const std::size_t index = nodes.size();
    nodes.push_back({parent, is_left, std::vector<std::optional<Sum>>(slots.size())});
    if (leaves == 1) {
      leaf_nodes.push_back(index);
    } else {
      const std::uint64_t left = left_leaves(leaves);
      build(left, index, true);
      build(leaves - left, index, false);
    }
    return index;
  }

  // Cuts the sum from its end, where a backward pass begins.
  void cut_pieces(const Layout& layout) {
    std::int64_t end = root.numel();
    if (extra_slot != kNone) {
      slots[extra_slot].piece = pieces.size();
      pieces.push_back({layout.flat_elements(), end - layout.flat_elements()});
      end = layout.flat_elements();
    }
    const std::vector<ParameterSpec>& specs = layout.parameters();
    for (std::size_t i = specs.size(); i-- > 0;) {
      if (slot_of_parameter[i] != kNone) slots[slot_of_parameter[i]].piece = pieces.size();
      if (end - specs[i].offset >= kPieceElements || i == 0) {
        pieces.push_back({specs[i].offset, end - specs[i].offset});
        end = specs[i].offset;
      }
    }
  }

  void count_missing() {
    missing.assign(pieces.size(), 0);
    for (const Slot& slot : slots) ++missing[slot.piece];
  }

  void finish(std::size_t index, const Sum& sum) {
    at::Tensor& target = slots[index].target;
    if (!sum.tensor.defined()) {
      target.zero_();
    } else if (sum.tensor.data_ptr() != target.data_ptr()) {
      target.copy_(sum.tensor);
    }
    const std::lock_guard lock(mutex);
    if (--missing[slots[index].piece] == 0) finished.notify_all();
  }

  // The last sum goes where all of them lie together.
  Sum added_at_root(std::size_t index, Sum left, Sum right) {
    if (!left.tensor.defined() || !right.tensor.defined()) {
      return added(std::move(left), std::move(right));
    }
    at::Tensor& target = slots[index].target;
    at::add_out(target, left.tensor, right.tensor);
    return {target, true};
  }

  void add(std::uint64_t leaf, std::size_t slot, const at::Tensor& gradient) {
    const at::NoGradGuard no_gradients;
    Sum sum{gradient, false};
    std::size_t node = leaf_nodes[leaf];
    while (nodes[node].parent != kNone) {
      const std::size_t parent = nodes[node].parent;
      std::optional<Sum> sibling;
      {
        const std::lock_guard lock(mutex);
        std::optional<Sum>& waiting = nodes[parent].waiting[slot];
        if (!waiting) {
          waiting = std::move(sum);
          return;
        }
        sibling = std::exchange(waiting, std::nullopt);
      }
      if (!nodes[node].is_left) std::swap(sum, *sibling);
      sum = nodes[parent].parent == kNone ? added_at_root(slot, std::move(sum), std::move(*sibling))
                                          : added(std::move(sum), std::move(*sibling));
      node = parent;
    }
    finish(slot, sum);
  }
};

GradientTree::GradientTree(std::shared_ptr<const Layout> layout, std::int64_t extra_elements,
                           c10::Device device, std::uint64_t leaves)
    : state_(std::make_unique<State>()) {
  State& state = *state_;
  const std::int64_t parameters = layout->flat_elements();
  state.root =
      at::zeros({parameters + extra_elements}, at::TensorOptions(at::kFloat).device(device));
  for (const ParameterSpec& spec : layout->parameters()) {
    state.slot_of_parameter.push_back(spec.trainable ? state.slots.size() : kNone);
    if (!spec.trainable) continue;
    state.slots.push_back({state.root.narrow(0, spec.offset, spec.elements).view(spec.shape), 0});
  }
  if (extra_elements > 0) {
    state.extra_slot = state.slots.size();
    state.slots.push_back({state.root.narrow(0, parameters, extra_elements), 0});
  }
  state.cut_pieces(*layout);
  state.count_missing();
  state.build(leaves, kNone, false);
}

GradientTree::~GradientTree() = default;

void GradientTree::add(std::uint64_t leaf, std::size_t parameter, const at::Tensor& gradient) {
  state_->add(leaf, state_->slot_of_parameter[parameter], gradient);
}

void GradientTree::add_extra(std::uint64_t leaf, const at::Tensor& extra) {
  state_->add(leaf, state_->extra_slot, extra);
}

std::size_t GradientTree::pieces() const { return state_->pieces.size(); }

std::optional<at::Tensor> GradientTree::wait_for(std::size_t piece) const {
  State& state = *state_;
  std::unique_lock lock(state.mutex);
  state.finished.wait(lock, [&] { return state.given_up || state.missing[piece] == 0; });
  if (state.missing[piece] > 0) return std::nullopt;
  return state.root.narrow(0, state.pieces[piece].first, state.pieces[piece].count);
}

void GradientTree::give_up() {
  const std::lock_guard lock(state_->mutex);
  state_->given_up = true;
  state_->finished.notify_all();
}

const at::Tensor& GradientTree::sum() const {
  const std::lock_guard lock(state_->mutex);
  for (const std::size_t missing : state_->missing) {
    if (missing > 0) fail(Code::kInternal, "the gradients of some shards are missing");
  }
  return state_->root;
}

void GradientTree::reset() {
  const std::lock_guard lock(state_->mutex);
  for (Node& node : state_->nodes) {
    std::fill(node.waiting.begin(), node.waiting.end(), std::nullopt);
  }
  state_->count_missing();
  state_->given_up = false;
}

}  // namespace reprise::engine
