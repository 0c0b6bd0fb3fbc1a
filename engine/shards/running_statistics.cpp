#include "engine/shards/running_statistics.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace reprise::engine {

void fold_running_statistics(Weights& weights, std::span<const double> leaves) {
  const Layout& layout = weights.layout();
  const auto stride = static_cast<std::size_t>(layout.moment_elements());
  if (stride == 0) return;
  const std::size_t count = leaves.size() / stride;
  for (const BatchNormSpec& spec : layout.batch_norms()) {
    const auto channels = static_cast<std::size_t>(spec.channels);
    const auto record = [&](std::size_t leaf) {
      return leaves.data() + leaf * stride + static_cast<std::size_t>(spec.offset);
    };
    double n = 0;
    for (std::size_t leaf = 0; leaf < count; ++leaf) n += record(leaf)[2 * channels];
    if (n == 0) continue;
    at::Tensor mean = weights.buffer(spec.running_mean).cpu();
    at::Tensor variance = weights.buffer(spec.running_var).cpu();
    float* means = mean.mutable_data_ptr<float>();
    float* variances = variance.mutable_data_ptr<float>();
    for (std::size_t c = 0; c < channels; ++c) {
      double sum = 0;
      double square_sum = 0;
      for (std::size_t leaf = 0; leaf < count; ++leaf) {
        const double* moments = record(leaf);
        const double weight = moments[2 * channels];
        sum += weight * moments[c];
        square_sum += weight * (moments[channels + c] + moments[c] * moments[c]);
      }
      const double pooled_mean = sum / n;
      const double biased = std::max(0.0, square_sum / n - pooled_mean * pooled_mean);
      const double unbiased = n > 1 ? biased * n / (n - 1) : biased;
      const auto fold = [&](float& running, double value) {
        running = static_cast<float>((1 - spec.momentum) * static_cast<double>(running) +
                                     spec.momentum * value);
      };
      fold(means[c], pooled_mean);
      fold(variances[c], unbiased);
    }
    if (!weights.buffer(spec.running_mean).is_cpu()) {
      weights.buffer(spec.running_mean).copy_(mean);
      weights.buffer(spec.running_var).copy_(variance);
    }
    weights.buffer(spec.batches_tracked).add_(1);
  }
}

}  // namespace reprise::engine
