#include "engine/optim/optimizer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

namespace reprise::engine {
namespace {

// Elements a thread updates at a time: enough to be worth handing out, small enough to balance.
constexpr std::int64_t kPieceElements = std::int64_t{1} << 16;

double factor_of(const OptimizerOptions& options, const std::string& name) {
  double factor = 1;
  std::size_t longest = 0;
  for (const auto& [prefix, value] : options.lr_factors) {
    if (name.starts_with(prefix) && prefix.size() >= longest) {
      factor = value;
      longest = prefix.size();
    }
  }
  return factor;
}

}  // namespace

Optimizer::Optimizer(OptimizerOptions options, std::shared_ptr<const Layout> layout,
                     c10::Device device, std::vector<std::string> slots)
    : options_(std::move(options)), layout_(std::move(layout)), device_(device) {
  const bool splits = options_.no_decay_for_vectors || options_.name == "lars";
  for (std::size_t i = 0; i < layout_->parameters().size(); ++i) {
    const ParameterSpec& spec = layout_->parameters()[i];
    if (!spec.trainable) continue;
    const double factor = factor_of(options_, spec.name);
    const bool decays = !(splits && spec.shape.size() <= 1);
    auto group = std::ranges::find_if(
        groups_, [&](const Group& one) { return one.lr_factor == factor && one.decays == decays; });
    if (group == groups_.end()) {
      groups_.push_back({{}, factor, decays});
      group = groups_.end() - 1;
    }
    group->parameters.push_back(i);
  }
  parameter_steps_.assign(layout_->parameters().size(), 0);
  last_.lr = options_.lr;
  last_.weight_decay = options_.weight_decay;
  for (std::string& slot : slots) {
    slots_.emplace_back(std::move(slot), at::zeros({layout_->flat_elements()},
                                                   at::TensorOptions(at::kFloat).device(device_)));
  }
}

at::Tensor Optimizer::slot_slice(std::size_t index, const Slice& slice) const {
  return slots_[index].second.narrow(0, slice.offset, slice.count);
}

Optimizer::Slice Optimizer::slice_of(const Group& group, std::size_t parameter,
                                     const StepOptions& options) const {
  const ParameterSpec& spec = layout_->parameters()[parameter];
  return {spec.offset,
          spec.elements,
          options.lr * group.lr_factor,
          group.decays ? options.weight_decay : 0,
          options.gradient_scale,
          parameter,
          group.decays};
}

void Optimizer::step(Weights& weights, const at::Tensor& gradient, const StepOptions& options,
                     WorkerPool& pool) {
  const at::NoGradGuard no_gradients;
  last_ = options;
  ++steps_;
  std::vector<char> stays(layout_->parameters().size(), 0);
  for (const std::size_t parameter : options.skipped) stays[parameter] = 1;
  for (const Group& group : groups_) {
    for (const std::size_t parameter : group.parameters) {
      if (stays[parameter] == 0) ++parameter_steps_[parameter];
    }
  }
  begin(weights.flat(), gradient, options, pool);
  if (!device_.is_cpu()) {
    for (const Group& group : groups_) {
      for (const std::size_t parameter : group.parameters) {
        if (stays[parameter] != 0) continue;
        const Slice slice = slice_of(group, parameter, options);
        update_on_device(slice, weights.flat().narrow(0, slice.offset, slice.count),
                         gradient.narrow(0, slice.offset, slice.count));
      }
    }
    return;
  }
  std::vector<Slice> slices;
  for (const Group& group : groups_) {
    for (const std::size_t parameter : group.parameters) {
      if (stays[parameter] != 0) continue;
      const Slice whole = slice_of(group, parameter, options);
      for (std::int64_t done = 0; done < whole.count; done += kPieceElements) {
        Slice slice = whole;
        slice.offset += done;
        slice.count = std::min(kPieceElements, whole.count - done);
        slices.push_back(slice);
      }
    }
  }
  // Small parameters would each cost a hand-over: a piece takes neighbours up to its size.
  std::vector<std::pair<std::size_t, std::size_t>> pieces;
  std::int64_t filled = kPieceElements;
  for (std::size_t i = 0; i < slices.size(); ++i) {
    if (filled + slices[i].count > kPieceElements) {
      pieces.emplace_back(i, i);
      filled = 0;
    }
    pieces.back().second = i + 1;
    filled += slices[i].count;
  }
  float* values = weights.flat().mutable_data_ptr<float>();
  const float* gradients = gradient.const_data_ptr<float>();
  pool.run(pieces.size(), [&](std::size_t piece) {
    for (std::size_t i = pieces[piece].first; i < pieces[piece].second; ++i) {
      update(slices[i], values + slices[i].offset, gradients + slices[i].offset);
    }
  });
}

}  // namespace reprise::engine
