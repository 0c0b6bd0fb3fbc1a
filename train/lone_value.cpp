#include "train/lone_value.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace reprise::train {

void refuse_lone_value(const experiment::Config& config, const Mode& mode, const Learner& learner,
                       const engine::Dataset& train, const engine::ShardPlan& plan) {
  if (mode.layout()->batch_norms().empty()) return;
  const std::vector<engine::View> views = mode.views(train);
  // Beside dino's global crops, which pass together, its local ones do: the smallest, and last.
  constexpr std::size_t kGlobalCrops = 2;
  const std::size_t together =
      views.size() > kGlobalCrops ? views.size() - kGlobalCrops : views.size();
  if (plan.batch / plan.shards * together != 1) return;
  const engine::View& view = views.back();
  std::int64_t side = std::min(view.size.height, view.size.width);
  if (config.multi_scale_min > 0) side = std::min(side, config.multi_scale_min);
  engine::Pass pass;
  pass.training = true;
  const at::NoGradGuard no_gradients;
  mode.network().features(
      learner.weights, at::zeros({1, view.channels, side, side}, learner.weights.flat().options()),
      pass);
}

}  // namespace reprise::train
