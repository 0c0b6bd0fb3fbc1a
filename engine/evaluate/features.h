// Features of a data set, and what its nearest neighbours say about a sample.
#pragma once

#include "engine/evaluate/evaluate.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace reprise::engine {

// Features of every sample and its target, in data set order.
struct FeatureSet {
  at::Tensor features;               // float32 [samples, width], on the CPU
  std::vector<std::int64_t> labels;  // empty in regression
  at::Tensor values;                 // float32 [samples, targets]; undefined in classification
};

// As evaluate(), of network.features(). The bits depend on weights, samples and view alone.
FeatureSet features_of(const Network& network, const Weights& weights, const Dataset& dataset,
                       const View& view, const EvaluateOptions& options, WorkerPool& pool,
                       Communicator& communicator);

// Errors: kMismatch when the two are not of one task and width, or a label is of no class; kUsage
// for an empty bank.
void require_comparable(const FeatureSet& bank, const FeatureSet& queries, std::int64_t classes);

struct NeighbourOptions {
  std::int64_t neighbours = 20;  // at most as many as there are
  double temperature = 0.07;     // a neighbour's weight is exp(cosine / temperature)
};

// The weighted vote (regression: weighted mean) of the nearest samples of `bank` by cosine, as
// Wu et al. 2018 and DINO have it. Ties go to the sample that comes first. Scores of classes:
// correct1 and correct5, a tied vote going to the lower label; loss is -log of the share of the
// right class, no less than e^-20. Bits depend on the features alone. Errors: those of
// require_comparable().
std::vector<SampleScore> neighbour_scores(const FeatureSet& bank, const FeatureSet& queries,
                                          std::int64_t classes, const NeighbourOptions& options,
                                          WorkerPool& pool);

}  // namespace reprise::engine
