#include "engine/models/frozen_backbone.h"

#include <ATen/ATen.h>

#include <utility>

namespace reprise::engine {
namespace {

NetworkOptions with_outputs(NetworkOptions options, std::int64_t outputs) {
  options.outputs = outputs;
  return options;
}

class FrozenBackbone : public Network {
 public:
  FrozenBackbone(std::shared_ptr<const Network> backbone, std::shared_ptr<const Weights> weights,
                 std::int64_t outputs)
      : Network(with_outputs(backbone->options(), outputs)),
        backbone_(std::move(backbone)),
        weights_(std::move(weights)) {
    Layout layout;
    add_head(layout, head_prefix(), Init::truncated_normal(0.02), Init::constant(0));
    set_layout(std::move(layout));
  }

  at::Tensor features(const Weights&, const at::Tensor& images, const Pass& pass) const override {
    const at::NoGradGuard no_gradients;
    return backbone_->features(*weights_, images, without_training(pass));
  }
  Maps maps(const Weights&, const at::Tensor& images, const Pass& pass) const override {
    const at::NoGradGuard no_gradients;
    return backbone_->maps(*weights_, images, without_training(pass));
  }
  std::int64_t feature_elements() const override { return backbone_->feature_elements(); }
  std::string_view head_prefix() const override { return backbone_->head_prefix(); }

 private:
  static Pass without_training(const Pass& pass) {
    Pass still;
    still.compute_type = pass.compute_type;
    return still;
  }

  std::shared_ptr<const Network> backbone_;
  std::shared_ptr<const Weights> weights_;
};

}  // namespace

std::unique_ptr<const Network> on_frozen_backbone(std::shared_ptr<const Network> backbone,
                                                  std::shared_ptr<const Weights> weights,
                                                  std::int64_t outputs) {
  return std::make_unique<const FrozenBackbone>(std::move(backbone), std::move(weights), outputs);
}

}  // namespace reprise::engine
