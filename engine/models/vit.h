// Vision transformers with the parameter names of DINO and timm.
#pragma once

#include "engine/models/network.h"

#include <cstdint>
#include <memory>

namespace reprise::engine {

struct VitShape {
  std::int64_t width = 192;
  std::int64_t depth = 12;
  std::int64_t heads = 3;
};

// Dosovitskiy et al. 2021, pre-norm, class token. Takes images of other sides than
// NetworkOptions::image_size too (multiples of the patch): position embeddings are
// interpolated bicubically, by one matrix product, whose gradient has a fixed order.
std::unique_ptr<const Network> make_vit(const NetworkOptions& options, const VitShape& shape);

}  // namespace reprise::engine
