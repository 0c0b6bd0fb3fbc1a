// ResNets with torchvision's parameter names.
#pragma once

#include "engine/models/network.h"

#include <array>
#include <memory>

namespace reprise::engine {

struct ResNetShape {
  std::array<int, 4> blocks{2, 2, 2, 2};
  bool bottleneck = false;  // ResNet-50 and deeper: stride in the 3x3 convolution ("v1.5")
  bool small_stem = false;  // 3x3 convolution of stride 1 and no pooling, for CIFAR-size images
};

// He et al. 2016. Activations are kept channels-last on CPU, where oneDNN is fastest.
std::unique_ptr<const Network> make_resnet(const NetworkOptions& options, const ResNetShape& shape);

}  // namespace reprise::engine
