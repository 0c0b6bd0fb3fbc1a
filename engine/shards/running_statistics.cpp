#include "engine/shards/running_statistics.h"

#include "engine/device/pinned_memory.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace reprise::engine {
namespace {

// Of one layer: mean and variance of `leaves`, the first moments of which are its own, folded in.
class Pool {
 public:
  Pool(const double* moments, std::size_t stride, std::size_t leaves, const BatchNormSpec& spec)
      : moments_(moments),
        stride_(stride),
        leaves_(leaves),
        channels_(static_cast<std::size_t>(spec.channels)),
        momentum_(spec.momentum) {
    for (std::size_t leaf = 0; leaf < leaves_; ++leaf) n_ += of(leaf)[2 * channels_];
  }

  bool empty() const { return n_ == 0; }

  void fold_into(float* means, float* variances) const {
    for (std::size_t c = 0; c < channels_; ++c) {
      double sum = 0;
      double square_sum = 0;
      for (std::size_t leaf = 0; leaf < leaves_; ++leaf) {
        const double* moments = of(leaf);
        const double weight = moments[2 * channels_];
        sum += weight * moments[c];
        square_sum += weight * (moments[channels_ + c] + moments[c] * moments[c]);
      }
      const double pooled_mean = sum / n_;
      const double biased = std::max(0.0, square_sum / n_ - pooled_mean * pooled_mean);
      const double unbiased = n_ > 1 ? biased * n_ / (n_ - 1) : biased;
      fold(means[c], pooled_mean);
      fold(variances[c], unbiased);
    }
  }

 private:
  const double* of(std::size_t leaf) const { return moments_ + leaf * stride_; }
  void fold(float& running, double value) const {
    running =
        static_cast<float>((1 - momentum_) * static_cast<double>(running) + momentum_ * value);
  }

  const double* moments_;
  std::size_t stride_;
  std::size_t leaves_;
  std::size_t channels_;
  double momentum_;
  double n_ = 0;
};

}  // namespace

void fold_running_statistics(Weights& weights, std::span<const double> leaves) {
  const Layout& layout = weights.layout();
  const auto stride = static_cast<std::size_t>(layout.moment_elements());
  if (stride == 0) return;
  std::vector<std::pair<const BatchNormSpec*, Pool>> used;
  std::vector<at::Tensor> buffers;
  for (const BatchNormSpec& spec : layout.batch_norms()) {
    const Pool pool(leaves.data() + spec.offset, stride, leaves.size() / stride, spec);
    if (pool.empty()) continue;
    used.emplace_back(&spec, pool);
    buffers.push_back(weights.buffer(spec.running_mean));
    buffers.push_back(weights.buffer(spec.running_var));
  }
  if (used.empty()) return;
  // There and back in one piece each: from a device every copy is a wait.
  const at::Tensor running = at::cat(buffers).cpu();
  float* values = running.mutable_data_ptr<float>();
  for (const auto& [spec, pool] : used) {
    pool.fold_into(values, values + spec->channels);
    values += 2 * spec->channels;
  }
  const at::Tensor folded = sent_to(buffers.front().device(), running);
  std::int64_t first = 0;
  for (const at::Tensor& buffer : buffers) {
    buffer.copy_(folded.narrow(0, first, buffer.numel()));
    first += buffer.numel();
  }
  for (const auto& [spec, pool] : used) weights.buffer(spec->batches_tracked).add_(1);
}

}  // namespace reprise::engine
