// Learning from a teacher's outputs or feature maps (Hinton et al. 2015; Romero et al. 2015).
#pragma once

#include "engine/models/layers.h"
#include "engine/models/network.h"
#include "engine/shards/sharded_step.h"
#include "engine/tasks/objective.h"
#include "engine/tasks/supervised.h"

#include <ATen/core/Tensor.h>

#include <memory>

namespace reprise::engine {

struct DistillationOptions {
  bool dense = false;      // feature maps; else outputs
  double temperature = 4;  // of outputs, in classification
  double weight = 0.9;     // of the teacher; the rest is the labels'
};

// A student, its teacher, and for feature maps the projection between them: a linear layer
// "projector." behind the student's own weights, which learns and is no part of the network.
// Immutable; safe to share between threads. Student, teacher and its weights outlive it.
class Distillation {
 public:
  Distillation(const Network& student, const Network& teacher, const Weights& teacher_weights,
               const DistillationOptions& options);

  // The student's, and the projector's.
  const std::shared_ptr<const Layout>& layout() const { return layout_; }

  // weight * distance to the teacher + (1 - weight) * loss of the labels. Distances: of outputs,
  // T^2 KL(teacher || student) at temperature T, and half the mean square in regression; of maps,
  // the mean square between the projected map and the teacher's, whose positions are normalised
  // over channels and pooled to the student's grid. All arguments outlive the result.
  ShardFunction function(const Weights& weights, const Objective& objective,
                         const TrainingBatch& batch) const;

 private:
  at::Tensor outputs_distance(const at::Tensor& found, const at::Tensor& wanted,
                              const Objective& objective) const;
  at::Tensor maps_distance(const Weights& weights, const at::Tensor& found,
                           const at::Tensor& wanted, const Pass& pass) const;

  const Network& student_;
  const Network& teacher_;
  const Weights& teacher_weights_;
  DistillationOptions options_;
  Linear projector_;
  std::shared_ptr<const Layout> layout_;
};

}  // namespace reprise::engine
