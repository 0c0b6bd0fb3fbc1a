#include "engine/weights/weights.h"

#include "ckpt/base/parallel.h"
#include "engine/weights/gradient_sink.h"

#include <ATen/ATen.h>

#include <span>
#include <utility>

namespace reprise::engine {

Weights::Weights(std::shared_ptr<const Layout> layout, c10::Device device)
    : layout_(std::move(layout)),
      flat_(at::zeros({layout_->flat_elements()}, at::TensorOptions(at::kFloat).device(device))) {
  const at::NoGradGuard no_gradients;
  for (const ParameterSpec& spec : layout_->parameters()) {
    parameters_.push_back(flat_.narrow(0, spec.offset, spec.elements).view(spec.shape).detach());
  }
  for (const BufferSpec& spec : layout_->buffers()) {
    const auto type = at::TensorOptions(spec.integer ? at::kLong : at::kFloat);
    buffers_.push_back(at::full(spec.shape, spec.initial, type.device(device)));
  }
}

Weights Weights::initialised(std::shared_ptr<const Layout> layout, std::uint64_t seed,
                             c10::Device device, unsigned jobs) {
  Weights weights(std::move(layout));
  float* flat = weights.flat_.mutable_data_ptr<float>();
  const std::vector<ParameterSpec>& specs = weights.layout_->parameters();
  parallel_for(specs.size(), jobs, [&](std::size_t i) {
    initialise(std::span(flat + specs[i].offset, static_cast<std::size_t>(specs[i].elements)),
               specs[i].init, seed, specs[i].name);
  });
  if (device.is_cpu()) return weights;
  Weights there(weights.layout_, device);
  there.flat_.copy_(weights.flat_);
  return there;
}

Weights Weights::clone() const {
  Weights copy(layout_, flat_.device());
  copy.flat_.copy_(flat_);
  for (std::size_t i = 0; i < buffers_.size(); ++i) copy.buffers_[i].copy_(buffers_[i]);
  return copy;
}

void Weights::require_gradients(bool on) {
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const bool learns = on && layout_->parameters()[i].trainable;
    parameters_[i].set_requires_grad(learns);
    if (learns && !reporting_) report_gradients(parameters_[i], i);
  }
  reporting_ = reporting_ || on;
}

Weights::Arranged::Arranged(Weights& weights, WorkerPool& pool) : weights_(weights) {
  if (!weights.flat_.is_cpu()) return;
  const auto& specs = weights.layout_->parameters();
  weights.kernels_.resize(specs.size());
  pool.run(specs.size(), [&](std::size_t i) {
    // A kernel of one pixel lies the same either way.
    if (!specs[i].kernel || specs[i].shape[2] * specs[i].shape[3] == 1) return;
    const at::NoGradGuard no_gradients;
    const at::Tensor& parameter = weights.parameters_[i];
    at::Tensor& copy = weights.kernels_[i];
    const bool first = !copy.defined();
    if (first) copy = at::empty_like(parameter, at::MemoryFormat::ChannelsLast);
    copy.copy_(parameter);
    copy.set_requires_grad(parameter.requires_grad());
    if (first && copy.requires_grad()) report_gradients(copy, i);
  });
  weights.arranged_ = true;
}

std::vector<NamedTensor> Weights::named(std::string_view prefix) const {
  std::vector<NamedTensor> all;
  for (const Layout::Entry& entry : layout_->entries()) {
    const std::string& name = entry.is_buffer ? layout_->buffers()[entry.index].name
                                              : layout_->parameters()[entry.index].name;
    if (!name.starts_with(prefix)) continue;
    all.push_back({name, entry.is_buffer ? buffers_[entry.index] : parameters_[entry.index]});
  }
  return all;
}

}  // namespace reprise::engine
