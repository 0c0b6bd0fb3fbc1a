#include "ckpt/base/error.h"
#include "ckpt/base/nearest_name.h"
#include "engine/models/network.h"
#include "engine/models/resnet.h"
#include "engine/models/vit.h"

#include <functional>

namespace reprise::engine {
namespace {

using Maker = std::function<std::unique_ptr<const Network>(const NetworkOptions&)>;

struct Architecture {
  ArchitectureInfo info;
  Maker make;
  bool transformer = false;
};

Maker resnet(const ResNetShape& shape) {
  return [shape](const NetworkOptions& options) { return make_resnet(options, shape); };
}

Maker vit(const VitShape& shape) {
  return [shape](const NetworkOptions& options) { return make_vit(options, shape); };
}

const std::vector<Architecture>& table() {
  static const std::vector<Architecture> kArchitectures{
      {{"resnet18", "ResNet-18, torchvision's names, 11.2 M parameters without the head"},
       resnet({{2, 2, 2, 2}, false, false})},
      {{"resnet18_cifar", "ResNet-18 with a 3x3 stem and no pooling, for small images"},
       resnet({{2, 2, 2, 2}, false, true})},
      {{"resnet50", "ResNet-50, torchvision's names, 23.5 M parameters without the head"},
       resnet({{3, 4, 6, 3}, true, false})},
      {{"vit_tiny", "ViT, width 192, 12 blocks, 3 heads; DINO's and timm's names"},
       vit({192, 12, 3}),
       true},
      {{"vit_small", "ViT, width 384, 12 blocks, 6 heads"}, vit({384, 12, 6}), true},
      {{"vit_base", "ViT, width 768, 12 blocks, 12 heads"}, vit({768, 12, 12}), true},
  };
  return kArchitectures;
}

void check_probability(std::string_view what, double value) {
  if (!(value >= 0 && value < 1)) {
    fail(Code::kUsage, "{} is {}; it has to be at least 0 and below 1", what, value);
  }
}

}  // namespace

std::unique_ptr<const Network> build_network(const NetworkOptions& options) {
  check_probability("dropout", options.dropout);
  check_probability("drop path", options.drop_path);
  if (options.outputs < 0 || options.channels <= 0) {
    fail(Code::kUsage, "a network with {} channels and {} outputs is none", options.channels,
         options.outputs);
  }
  std::vector<std::string> names;
  for (const Architecture& one : table()) {
    if (one.info.name != options.arch) {
      names.push_back(one.info.name);
      continue;
    }
    if (!one.transformer && (options.dropout != 0 || options.drop_path != 0)) {
      fail(Code::kUsage, "{} has no dropout and no drop path; leave them at 0", options.arch);
    }
    return one.make(options);
  }
  const auto nearest = nearest_name(options.arch, names);
  fail(Code::kUsage, "unknown architecture '{}'{}; train --list arch shows all", options.arch,
       nearest ? fmt::format("; did you mean '{}'?", *nearest) : "");
}

std::vector<ArchitectureInfo> architectures() {
  std::vector<ArchitectureInfo> all;
  for (const Architecture& one : table()) all.push_back(one.info);
  return all;
}

}  // namespace reprise::engine
