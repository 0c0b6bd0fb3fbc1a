#include "engine/models/network.h"

#include <ATen/ATen.h>

namespace reprise::engine {

void Network::add_head(Layout& layout, std::string_view prefix, Init weight, Init bias) {
  if (options_.outputs == 0) return;
  std::string name(prefix);
  name.pop_back();  // the prefix ends with a dot
  head_ = Linear(layout, name, feature_elements(), options_.outputs, weight, bias);
}

at::Tensor Network::head(const Weights& weights, const at::Tensor& features,
                         const Pass& pass) const {
  const at::Tensor outputs = options_.outputs == 0 ? features : head_(weights, features, pass);
  return outputs.to(at::kFloat);
}

}  // namespace reprise::engine
