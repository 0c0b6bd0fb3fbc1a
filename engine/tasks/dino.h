// Self-distillation with no labels (Caron et al. 2021) as a function of shards.
#pragma once

#include "engine/models/dino_head.h"
#include "engine/models/network.h"
#include "engine/shards/sharded_step.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace reprise::engine {

// Student and teacher: two weights of one layout, "backbone." and "head.". Immutable; safe to
// share between threads. Random layers (dropout, drop path) are the student's alone.
class DinoNetwork {
 public:
  // `backbone`: without a head (outputs = 0).
  DinoNetwork(const NetworkOptions& backbone, const DinoHeadOptions& head);

  const Network& backbone() const { return *student_; }
  const std::shared_ptr<const Layout>& layout() const { return layout_; }
  const DinoHeadOptions& head_options() const { return head_options_; }
  // Of the backbone, for names with its prefix.
  Adapt adapt() const;
  std::vector<std::size_t> last_layer() const { return head_->last_layer(); }

  // Of groups of equally large crops, [crops * samples, outputs]. `passes`: one a group.
  at::Tensor student(const Weights& weights, const std::vector<at::Tensor>& groups,
                     const std::vector<const Pass*>& passes) const;
  at::Tensor teacher(const Weights& weights, const at::Tensor& images, const Pass& pass) const;

 private:
  std::unique_ptr<const Network> student_, teacher_;
  DinoHeadOptions head_options_;
  std::unique_ptr<const DinoHead> head_;
  std::shared_ptr<const Layout> layout_;
};

struct DinoStep {
  // This process's samples: two global crops, then local ones; [samples, channels, side, side].
  std::vector<at::Tensor> crops;
  at::Tensor centre;  // float32 [1, outputs]
  double student_temperature = 0.1;
  double teacher_temperature = 0.04;
};

// The crops of the teacher.
inline constexpr std::size_t kGlobalCrops = 2;

// Cross-entropy between the teacher's view of each global crop and the student's of every other
// crop, averaged over those pairs. Shard::extra gets the sum of the teacher's outputs over both
// global crops, Shard::second_moments the teacher's BatchNorm statistics, both networks' running
// statistics being those of global crops. `network` and weights must outlive it.
ShardFunction dino(const DinoNetwork& network, const Weights& student, const Weights& teacher,
                   DinoStep step);

// The loss of `pairs` of crops alone, summed over samples: for [crops * samples, outputs] of the
// student and [2 * samples, outputs] of the teacher, crop by crop. Differentiable in `student`.
at::Tensor dino_loss_sum(const at::Tensor& student, const at::Tensor& teacher, const DinoStep& step,
                         std::int64_t crops);

}  // namespace reprise::engine
