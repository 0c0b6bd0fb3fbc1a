#include "engine/shards/leaf_records.h"

#include <ATen/ATen.h>

#include <cstring>
#include <utility>

namespace reprise::engine {
namespace {

// A float64 among float32: its two halves.
constexpr std::int64_t kLossElements = 2;

// Statistics of one layer as they go into a record; returns what of `values` comes after them.
const float* write_moments(const float* values, const LayerMoments& layer, std::int64_t channels,
                           double* record) {
  const auto n = static_cast<double>(layer.count);
  for (std::int64_t c = 0; c < channels; ++c) {
    record[c] = static_cast<double>(values[c]);
    record[channels + c] = static_cast<double>(values[channels + c]) * (n - 1) / n;
  }
  record[2 * channels] = n;
  return values + 2 * channels;
}

}  // namespace

LeafRecords::LeafRecords(std::shared_ptr<const Layout> layout, std::size_t networks,
                         std::uint64_t leaves)
    : layout_(std::move(layout)),
      record_elements_(1 + networks * static_cast<std::size_t>(layout_->moment_elements())),
      leaves_(leaves) {}

void LeafRecords::put(std::uint64_t leaf, const at::Tensor& loss, std::vector<Moments> moments) {
  leaves_[leaf] = {loss.detach().to(at::kDouble), std::move(moments)};
}

std::vector<double> LeafRecords::take() {
  std::vector<at::Tensor> parts;
  for (const Leaf& leaf : leaves_) {
    parts.push_back(leaf.loss.view({1}).view(at::kFloat));
    for (const Moments& network : leaf.moments) {
      for (const LayerMoments& layer : network) {
        if (layer.count > 0) parts.insert(parts.end(), {layer.mean, layer.variance});
      }
    }
  }
  const at::Tensor all = at::cat(parts).cpu();
  const float* values = all.const_data_ptr<float>();
  // A layer that was not used stays at zeros.
  std::vector<double> records(leaves_.size() * record_elements_, 0.0);
  double* record = records.data();
  for (const Leaf& leaf : leaves_) {
    std::memcpy(record, values, sizeof(double));
    values += kLossElements;
    double* statistics = record + 1;
    for (const Moments& network : leaf.moments) {
      for (std::size_t i = 0; i < network.size(); ++i) {
        const BatchNormSpec& spec = layout_->batch_norms()[i];
        if (network[i].count == 0) continue;
        values = write_moments(values, network[i], spec.channels, statistics + spec.offset);
      }
      statistics += layout_->moment_elements();
    }
    record += record_elements_;
  }
  clear();
  return records;
}

void LeafRecords::clear() { leaves_.assign(leaves_.size(), {}); }

}  // namespace reprise::engine
