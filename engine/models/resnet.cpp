#include "engine/models/resnet.h"

#include "engine/determinism/op_trace.h"
#include "engine/models/checkpointed.h"

#include <ATen/ATen.h>
#include <fmt/core.h>

namespace reprise::engine {
namespace {

class Block {
 public:
  Block(Layout& layout, const std::string& name, std::int64_t in, std::int64_t width,
        std::int64_t stride, bool bottleneck)
      : name_(name), bottleneck_(bottleneck) {
    parameters_.first = layout.parameters().size();
    const std::int64_t out = bottleneck ? width * 4 : width;
    if (bottleneck) {
      conv1_ = Convolution(layout, name + ".conv1", in, width, 1, 1);
      bn1_ = BatchNorm(layout, name + ".bn1", width);
      conv2_ = Convolution(layout, name + ".conv2", width, width, 3, stride);
      bn2_ = BatchNorm(layout, name + ".bn2", width);
      conv3_ = Convolution(layout, name + ".conv3", width, out, 1, 1);
      bn3_ = BatchNorm(layout, name + ".bn3", out);
    } else {
      conv1_ = Convolution(layout, name + ".conv1", in, width, 3, stride);
      bn1_ = BatchNorm(layout, name + ".bn1", width);
      conv2_ = Convolution(layout, name + ".conv2", width, width, 3, 1);
      bn2_ = BatchNorm(layout, name + ".bn2", width);
    }
    downsamples_ = stride != 1 || in != out;
    if (downsamples_) {
      down_conv_ = Convolution(layout, name + ".downsample.0", in, out, 1, stride);
      down_bn_ = BatchNorm(layout, name + ".downsample.1", out);
    }
    parameters_.last = layout.parameters().size();
  }

  at::Tensor operator()(const Weights& w, const at::Tensor& input, const Pass& pass) const {
    return checkpointed([&](const at::Tensor& x) { return compute(w, x, pass); }, input, w,
                        parameters_, pass);
  }

 private:
  at::Tensor compute(const Weights& w, const at::Tensor& x, const Pass& pass) const {
    const ModuleScope scope(name_);
    at::Tensor y = bn1_(w, conv1_(w, x, pass), pass).relu_();
    y = bn2_(w, conv2_(w, y, pass), pass);
    if (bottleneck_) y = bn3_(w, conv3_(w, y.relu_(), pass), pass);
    return y.add_(downsamples_ ? down_bn_(w, down_conv_(w, x, pass), pass) : x).relu_();
  }

  std::string name_;
  ParameterRange parameters_;
  bool bottleneck_;
  bool downsamples_ = false;
  Convolution conv1_, conv2_, conv3_, down_conv_;
  BatchNorm bn1_, bn2_, bn3_, down_bn_;
};

class ResNet : public Network {
 public:
  ResNet(const NetworkOptions& options, const ResNetShape& shape)
      : Network(options), shape_(shape) {
    Layout layout;
    constexpr std::int64_t kStem = 64;
    conv1_ = shape.small_stem ? Convolution(layout, "conv1", options.channels, kStem, 3, 1)
                              : Convolution(layout, "conv1", options.channels, kStem, 7, 2);
    bn1_ = BatchNorm(layout, "bn1", kStem);
    std::int64_t in = kStem;
    for (std::size_t stage = 0; stage < shape.blocks.size(); ++stage) {
      const std::int64_t width = kStem << stage;
      for (int i = 0; i < shape.blocks[stage]; ++i) {
        const std::int64_t stride = i == 0 && stage > 0 ? 2 : 1;
        blocks_.emplace_back(layout, fmt::format("layer{}.{}", stage + 1, i), in, width, stride,
                             shape.bottleneck);
        in = shape.bottleneck ? width * 4 : width;
      }
    }
    features_ = in;
    const Init head = Init::torch_default(in);
    add_head(layout, head_prefix(), head, head);
    set_layout(std::move(layout));
  }

  at::Tensor features(const Weights& w, const at::Tensor& images, const Pass& pass) const override {
    return maps(w, images, pass).features;
  }

  Maps maps(const Weights& w, const at::Tensor& images, const Pass& pass) const override {
    at::Tensor x = images.contiguous(at::MemoryFormat::ChannelsLast);
    x = bn1_(w, conv1_(w, x, pass), pass).relu_();
    if (!shape_.small_stem) x = at::max_pool2d(x, {3, 3}, {2, 2}, {1, 1});
    for (const Block& block : blocks_) x = block(w, x, pass);
    return {x.mean({2, 3}), x};
  }

  std::int64_t feature_elements() const override { return features_; }
  std::string_view head_prefix() const override { return "fc."; }

 private:
  ResNetShape shape_;
  Convolution conv1_;
  BatchNorm bn1_;
  std::vector<Block> blocks_;
  std::int64_t features_ = 0;
};

}  // namespace

std::unique_ptr<const Network> make_resnet(const NetworkOptions& options,
                                           const ResNetShape& shape) {
  return std::make_unique<const ResNet>(options, shape);
}

}  // namespace reprise::engine
