#include "engine/weights/layout.h"

#include "ckpt/base/error.h"
#include "ckpt/state/tensor.h"

#include <utility>

namespace reprise::engine {

std::size_t Layout::parameter(std::string name, std::vector<std::int64_t> shape, Init init) {
  for (const ParameterSpec& other : parameters_) {
    if (other.name == name) fail(Code::kInternal, "two parameters are called {}", name);
  }
  ParameterSpec spec;
  spec.name = std::move(name);
  spec.elements = count_elements(shape);
  spec.shape = std::move(shape);
  spec.init = init;
  spec.offset = flat_elements_;
  flat_elements_ += (spec.elements + kAlignment - 1) / kAlignment * kAlignment;
  entries_.push_back({false, parameters_.size()});
  parameters_.push_back(std::move(spec));
  return parameters_.size() - 1;
}

std::size_t Layout::kernel(std::string name, std::vector<std::int64_t> shape, Init init) {
  const std::size_t index = parameter(std::move(name), std::move(shape), init);
  parameters_[index].kernel = true;
  return index;
}

std::size_t Layout::buffer(std::string name, std::vector<std::int64_t> shape, double initial,
                           bool integer) {
  entries_.push_back({true, buffers_.size()});
  buffers_.push_back({std::move(name), std::move(shape), initial, integer});
  return buffers_.size() - 1;
}

Layout::BatchNormIndex Layout::batch_norm(const std::string& name, std::int64_t channels) {
  BatchNormIndex index{};
  index.weight = parameter(name + ".weight", {channels}, Init::constant(1));
  index.bias = parameter(name + ".bias", {channels}, Init::constant(0));
  BatchNormSpec spec{};
  spec.running_mean = buffer(name + ".running_mean", {channels}, 0);
  spec.running_var = buffer(name + ".running_var", {channels}, 1);
  spec.batches_tracked = buffer(name + ".num_batches_tracked", {}, 0, true);
  spec.channels = channels;
  spec.offset = moment_elements_;
  moment_elements_ += 2 * channels + 1;
  index.layer = batch_norms_.size();
  batch_norms_.push_back(spec);
  return index;
}

Layout Layout::prefixed(const std::string& prefix) const {
  Layout layout = *this;
  for (ParameterSpec& spec : layout.parameters_) spec.name = prefix + spec.name;
  for (BufferSpec& spec : layout.buffers_) spec.name = prefix + spec.name;
  return layout;
}

void Layout::freeze(const std::string& prefix) {
  for (ParameterSpec& spec : parameters_) {
    if (spec.name.starts_with(prefix)) spec.trainable = false;
  }
}

std::int64_t Layout::parameter_elements() const {
  std::int64_t sum = 0;
  for (const ParameterSpec& spec : parameters_) sum += spec.elements;
  return sum;
}

}  // namespace reprise::engine
