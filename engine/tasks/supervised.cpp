#include "engine/tasks/supervised.h"

#include "engine/device/pinned_memory.h"

#include <ATen/ATen.h>

namespace reprise::engine {
namespace {

// Memory of the loader as a tensor; nothing is freed with it.
template <typename T>
at::Tensor borrowed(const T* data, at::IntArrayRef shape, at::ScalarType type) {
  return at::from_blob(const_cast<T*>(data), shape, at::TensorOptions(type));
}

}  // namespace

TrainingBatch tensors_of(const Batch& batch, std::int64_t channels, c10::Device device) {
  const auto samples = static_cast<std::int64_t>(batch.ids.size());
  TrainingBatch tensors;
  tensors.images = images_of(batch, channels, device, 0);
  if (batch.values.empty()) {
    tensors.labels = sent_to(device, borrowed(batch.labels.data(), {samples}, at::kLong));
  } else {
    const auto targets = static_cast<std::int64_t>(batch.values.size()) / samples;
    tensors.values = sent_to(device, borrowed(batch.values.data(), {samples, targets}, at::kFloat));
  }
  return tensors;
}

at::Tensor images_of(const Batch& batch, std::int64_t channels, c10::Device device,
                     std::size_t view) {
  const auto samples = static_cast<std::int64_t>(batch.ids.size());
  const ImageSize size = batch.sizes[view];
  return borrowed(batch.views[view].data(), {samples, channels, size.height, size.width},
                  at::kFloat)
      .to(device, /*non_blocking=*/true);
}

ShardFunction supervised(const Network& network, const Weights& weights, const Objective& objective,
                         const TrainingBatch& batch) {
  return [&](Shard& shard) {
    const auto first = static_cast<std::int64_t>(shard.samples.first);
    const auto count = static_cast<std::int64_t>(shard.samples.count);
    const auto part = [&](const at::Tensor& whole) {
      return whole.defined() ? whole.narrow(0, first, count) : whole;
    };
    const at::Tensor outputs = network.forward(weights, part(batch.images), shard.pass);
    return objective.loss_sum(outputs, part(batch.labels), part(batch.values)) /
           static_cast<double>(shard.update_samples);
  };
}

}  // namespace reprise::engine
