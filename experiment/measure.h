// One evaluation, as training and `eval` both make it: the same call, so the same bits.
#pragma once

#include "ckpt/base/io.h"
#include "engine/evaluate/evaluate.h"
#include "engine/evaluate/features.h"
#include "engine/evaluate/linear.h"
#include "experiment/data_facts.h"

#include <optional>
#include <string>
#include <vector>

namespace reprise::experiment {

struct Measurement {
  const engine::Network& network;
  const engine::Objective& objective;
  const engine::Dataset& dataset;
  const DataFacts& facts;
  std::uint64_t batch_size = 64;
  unsigned workers = 1;
  engine::WorkerPool& pool;
  engine::Communicator& communicator;
  Io& io;
};

// Metrics of `weights` and, under "ema/" names, of `ema` where it is not null. Reads weights only.
// Errors: those of reading samples; kMismatch when network and data do not fit.
engine::Metrics measure(const Measurement& what, const engine::Weights& weights,
                        const engine::Weights* ema);

// The names of what measure() gives. `ema`: whether it is given an average.
std::vector<std::string> metric_names(const DataFacts& facts, bool ema);

// The features of a backbone, judged by training samples: by the nearest ones, or by what a linear
// layer learns of them.
struct FeatureMeasurement {
  const engine::Network& backbone;
  const engine::Dataset& bank;
  const engine::Dataset& dataset;
  const DataFacts& facts;
  std::uint64_t bank_samples = 0;  // of the bank, spread over it; 0: all
  engine::NeighbourOptions neighbours;
  std::optional<engine::LinearOptions> linear;  // in place of neighbours
  engine::EvaluateOptions evaluation;
  engine::WorkerPool& pool;
  engine::Communicator& communicator;
  Io& io;
};

// "val/knn/acc1" and "val/knn/acc5", or "val/knn/mae" and "val/knn/rmse"; with `linear`
// "val/linear/...". `weights` may be those of a larger network that begins with the backbone. As
// measure().
engine::Metrics measure_features(const FeatureMeasurement& what, const engine::Weights& weights);

// The names of what measure_features() gives.
std::vector<std::string> feature_metric_names(const DataFacts& facts, bool linear);

}  // namespace reprise::experiment
