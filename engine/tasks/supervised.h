// Supervised training as a function of shards.
#pragma once

#include "engine/data/loader.h"
#include "engine/models/network.h"
#include "engine/shards/sharded_step.h"
#include "engine/tasks/objective.h"

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>

namespace reprise::engine {

// This process's samples of one update, in order, on the device of the weights.
struct TrainingBatch {
  at::Tensor images;  // float32 [samples, channels, height, width]
  at::Tensor labels;  // int64 [samples]; undefined in regression
  at::Tensor values;  // float32 [samples, targets]; undefined in classification
};

// Tensors over the memory of a loaded batch, without a copy on CPU: valid as long as `batch`
// is. A GPU copies from pinned memory while the host goes on: `batch` has to stay until something
// has been read of what is computed with them.
TrainingBatch tensors_of(const Batch& batch, std::int64_t channels, c10::Device device);
// The images alone, of one of its views.
at::Tensor images_of(const Batch& batch, std::int64_t channels, c10::Device device,
                     std::size_t view);

// The function ShardedStep runs for supervised training. All arguments must outlive it.
ShardFunction supervised(const Network& network, const Weights& weights, const Objective& objective,
                         const TrainingBatch& batch);

}  // namespace reprise::engine
