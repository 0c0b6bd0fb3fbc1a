// What evaluation computes with: micro-batches of one fixed shape, shared out to processes.
#pragma once

#include "engine/data/dataset.h"
#include "engine/data/view.h"
#include "engine/distributed/communicator.h"
#include "engine/evaluate/evaluate.h"
#include "engine/tasks/supervised.h"
#include "engine/workers/worker_pool.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace reprise::engine {

// The neighbouring samples that this process evaluates.
SampleRange evaluated_samples(std::uint64_t samples, const Communicator& communicator);

// One micro-batch: kMicroBatch samples of which the first `real` are samples and the rest padding;
// `first` counts from the first sample of this process. What it computes on a GPU it brings to the
// host before it returns.
using MicroBatchFunction =
    std::function<void(const TrainingBatch& part, std::uint64_t first, std::uint64_t real)>;

// Calls `compute` for each micro-batch of this process, on the pool's threads (one after another
// on a GPU), without gradients. Errors: those of reading samples and of `compute`.
void for_each_micro_batch(const Dataset& dataset, const View& view, const EvaluateOptions& options,
                          c10::Device device, WorkerPool& pool, Communicator& communicator,
                          const MicroBatchFunction& compute);

// Rows of `row_bytes`, one a sample, from this process's samples to those of all processes in data
// set order.
std::vector<std::byte> gathered_rows(std::span<const std::byte> mine, std::size_t row_bytes,
                                     std::uint64_t samples, Communicator& communicator);

}  // namespace reprise::engine
