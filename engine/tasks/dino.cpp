#include "engine/tasks/dino.h"

#include <ATen/ATen.h>

#include <utility>

namespace reprise::engine {
namespace {

NetworkOptions without_random_layers(NetworkOptions options) {
  options.dropout = 0;
  options.drop_path = 0;
  return options;
}

// Random layers would draw the same numbers for local crops as for global ones.
constexpr std::uint64_t kLocalPass = std::uint64_t{1} << 32;

}  // namespace

DinoNetwork::DinoNetwork(const NetworkOptions& backbone, const DinoHeadOptions& head)
    : student_(build_network(backbone)),
      teacher_(build_network(without_random_layers(backbone))),
      head_options_(head) {
  Layout layout = student_->layout()->prefixed("backbone.");
  head_ = std::make_unique<const DinoHead>(layout, "head.", student_->feature_elements(), head);
  layout_ = std::make_shared<const Layout>(std::move(layout));
}

Adapt DinoNetwork::adapt() const {
  return [adapt = student_->adapt()](std::string_view name, const at::Tensor& found,
                                     at::IntArrayRef shape) {
    constexpr std::string_view kPrefix = "backbone.";
    if (!adapt || !name.starts_with(kPrefix)) return at::Tensor();
    return adapt(name.substr(kPrefix.size()), found, shape);
  };
}

at::Tensor DinoNetwork::student(const Weights& weights, const std::vector<at::Tensor>& groups,
                                const std::vector<const Pass*>& passes) const {
  std::vector<at::Tensor> features;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    features.push_back(student_->features(weights, groups[i], *passes[i]));
  }
  return (*head_)(weights, at::cat(features), *passes.front());
}

at::Tensor DinoNetwork::teacher(const Weights& weights, const at::Tensor& images,
                                const Pass& pass) const {
  return (*head_)(weights, teacher_->features(weights, images, pass), pass);
}

at::Tensor dino_loss_sum(const at::Tensor& student, const at::Tensor& teacher, const DinoStep& step,
                         std::int64_t crops) {
  const auto wanted =
      at::softmax((teacher - step.centre) / step.teacher_temperature, -1).chunk(kGlobalCrops);
  const auto found = at::log_softmax(student / step.student_temperature, -1).chunk(crops);
  at::Tensor sum;
  for (std::size_t t = 0; t < wanted.size(); ++t) {
    for (std::size_t s = 0; s < found.size(); ++s) {
      if (s == t) continue;
      const at::Tensor pair = -(wanted[t] * found[s]).sum();
      sum = sum.defined() ? sum + pair : pair;
    }
  }
  const auto pairs = static_cast<double>(kGlobalCrops) * static_cast<double>(crops - 1);
  return sum / pairs;
}

ShardFunction dino(const DinoNetwork& network, const Weights& student, const Weights& teacher,
                   DinoStep step) {
  return [&network, &student, &teacher, step = std::move(step)](Shard& shard) {
    const auto first = static_cast<std::int64_t>(shard.samples.first);
    const auto count = static_cast<std::int64_t>(shard.samples.count);
    const auto together = [&](std::size_t from, std::size_t to) {
      std::vector<at::Tensor> parts;
      for (std::size_t i = from; i < to; ++i) {
        parts.push_back(step.crops[i].narrow(0, first, count));
      }
      return at::cat(parts);
    };
    std::vector<at::Tensor> groups{together(0, kGlobalCrops)};
    std::vector<const Pass*> passes{&shard.pass};
    if (step.crops.size() > kGlobalCrops) {
      groups.push_back(together(kGlobalCrops, step.crops.size()));
      Pass& local = shard.more_passes.emplace_back(shard.pass);
      local.shard += kLocalPass;
      local.moments = nullptr;
      passes.push_back(&local);
    }
    at::Tensor wanted;
    {
      const at::NoGradGuard no_gradients;
      Pass pass = shard.pass;
      pass.moments = shard.second_moments.empty() ? nullptr : &shard.second_moments;
      pass.activation_checkpointing = false;
      wanted = network.teacher(teacher, groups.front(), pass);
      shard.extra.copy_(wanted.sum(0));
    }
    const at::Tensor found = network.student(student, groups, passes);
    return dino_loss_sum(found, wanted, step, static_cast<std::int64_t>(step.crops.size())) /
           static_cast<double>(shard.update_samples);
  };
}

}  // namespace reprise::engine
