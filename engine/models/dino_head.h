// DINO's projection head (Caron et al. 2021): MLP, bottleneck, L2 norm, weight-normed last layer.
#pragma once

#include "engine/models/layers.h"

#include <cstdint>
#include <string>

namespace reprise::engine {

struct DinoHeadOptions {
  std::int64_t outputs = 65536;
  std::int64_t hidden = 2048;
  std::int64_t bottleneck = 256;
  // Rows of the last layer keep length 1: steadier, and what the paper's ViTs use.
  bool norm_last_layer = true;
};

// Three linear layers with GELU between, then a linear layer without bias whose rows are
// weight_g * weight_v / |weight_v|, on features of length 1. Names are those of DINO's own code:
// mlp.0, mlp.2, mlp.4, last_layer.weight_g, last_layer.weight_v. As the layers of layers.h.
class DinoHead {
 public:
  // `prefix`: "head.". With norm_last_layer, weight_g is frozen at 1.
  DinoHead(Layout& layout, const std::string& prefix, std::int64_t in,
           const DinoHeadOptions& options);

  // [samples, in] -> [samples, outputs], float32.
  at::Tensor operator()(const Weights& weights, const at::Tensor& features, const Pass& pass) const;

  // Parameter indices of the last layer: what stays fixed in the first epochs.
  std::vector<std::size_t> last_layer() const { return {weight_g_, weight_v_}; }

 private:
  Linear first_, second_, third_;
  std::size_t weight_g_ = 0, weight_v_ = 0;
};

}  // namespace reprise::engine
