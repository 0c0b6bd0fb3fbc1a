// Exact evaluation: the same bits at any batch size, on any number of threads and processes.
#pragma once

#include "engine/data/dataset.h"
#include "engine/data/view.h"
#include "engine/distributed/communicator.h"
#include "engine/metrics/metrics.h"
#include "engine/models/network.h"
#include "engine/tasks/objective.h"
#include "engine/workers/worker_pool.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace reprise::engine {

// Samples of a micro-batch, the last one padded with zeros: every forward pass has this shape.
// DO NOT CHANGE: metrics that people noted down mean these bits.
inline constexpr std::uint64_t kMicroBatch = 16;

struct EvaluateOptions {
  // How many samples may be in memory at a time; says nothing else. Rounded up to micro-batches.
  std::uint64_t batch_size = 64;
  std::uint64_t seed = 0;
  unsigned workers = 1;  // of the loader
  // Called with samples done so far, from the calling thread.
  std::function<void(std::uint64_t done)> progress;
};

// Scores of all samples in data set order. `weights` are read only: nothing that training
// uses is touched, and no gradient is asked for. With several processes each computes
// neighbouring micro-batches, and all get all scores.
// Errors: those of reading samples; kMismatch when outputs and data set do not fit.
std::vector<SampleScore> evaluate(const Network& network, const Weights& weights,
                                  const Objective& objective, const Dataset& dataset,
                                  const View& view, const EvaluateOptions& options,
                                  WorkerPool& pool, Communicator& communicator);

}  // namespace reprise::engine
