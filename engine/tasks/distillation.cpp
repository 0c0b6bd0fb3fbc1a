#include "engine/tasks/distillation.h"

#include <ATen/ATen.h>

#include <utility>

namespace reprise::engine {

Distillation::Distillation(const Network& student, const Network& teacher,
                           const Weights& teacher_weights, const DistillationOptions& options)
    : student_(student), teacher_(teacher), teacher_weights_(teacher_weights), options_(options) {
  Layout layout = *student.layout();
  if (options.dense) {
    const Init init = Init::torch_default(student.feature_elements());
    projector_ = Linear(layout, "projector", student.feature_elements(), teacher.feature_elements(),
                        init, init);
  }
  layout_ = std::make_shared<const Layout>(std::move(layout));
}

at::Tensor Distillation::outputs_distance(const at::Tensor& found, const at::Tensor& wanted,
                                          const Objective& objective) const {
  if (objective.options().task == Task::kRegression) {
    return at::mse_loss(found, wanted, at::Reduction::Sum) /
           (2 * static_cast<double>(wanted.size(1)));
  }
  const double t = options_.temperature;
  const at::Tensor log_wanted = at::log_softmax(wanted / t, -1);
  const at::Tensor log_found = at::log_softmax(found / t, -1);
  return (log_wanted.exp() * (log_wanted - log_found)).sum() * (t * t);
}

at::Tensor Distillation::maps_distance(const Weights& weights, const at::Tensor& found,
                                       const at::Tensor& wanted, const Pass& pass) const {
  // [samples, channels, h, w] -> [samples, positions, channels].
  const auto rows = [](const at::Tensor& map) {
    return map.to(at::kFloat).flatten(2).transpose(1, 2);
  };
  const at::Tensor projected = projector_(weights, rows(found), pass).to(at::kFloat);
  at::Tensor target;
  {
    const at::NoGradGuard no_gradients;
    const at::Tensor pooled =
        rows(at::adaptive_avg_pool2d(wanted.to(at::kFloat), {found.size(2), found.size(3)}));
    target = at::layer_norm(pooled, {pooled.size(2)}, {}, {}, 1e-6, false);
  }
  return at::mse_loss(projected, target, at::Reduction::Sum) /
         static_cast<double>(target.size(1) * target.size(2));
}

ShardFunction Distillation::function(const Weights& weights, const Objective& objective,
                                     const TrainingBatch& batch) const {
  return [&](Shard& shard) {
    const auto first = static_cast<std::int64_t>(shard.samples.first);
    const auto count = static_cast<std::int64_t>(shard.samples.count);
    const auto part = [&](const at::Tensor& whole) {
      return whole.defined() ? whole.narrow(0, first, count) : whole;
    };
    const at::Tensor images = part(batch.images);
    Pass still;
    still.compute_type = shard.pass.compute_type;
    at::Tensor distance;
    at::Tensor outputs;
    if (options_.dense) {
      at::Tensor wanted;
      {
        const at::NoGradGuard no_gradients;
        wanted = teacher_.maps(teacher_weights_, images, still).map;
      }
      const Network::Maps found = student_.maps(weights, images, shard.pass);
      distance = maps_distance(weights, found.map, wanted, shard.pass);
      outputs = student_.head(weights, found.features, shard.pass);
    } else {
      at::Tensor wanted;
      {
        const at::NoGradGuard no_gradients;
        wanted = teacher_.forward(teacher_weights_, images, still);
      }
      outputs = student_.forward(weights, images, shard.pass);
      distance = outputs_distance(outputs, wanted, objective);
    }
    const at::Tensor labels = objective.loss_sum(outputs, part(batch.labels), part(batch.values));
    return (distance * options_.weight + labels * (1 - options_.weight)) /
           static_cast<double>(shard.update_samples);
  };
}

}  // namespace reprise::engine
