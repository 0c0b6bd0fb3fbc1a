// Linear evaluation: how well one linear layer tells samples apart by frozen features.
#pragma once

#include "engine/evaluate/features.h"

#include <cstdint>
#include <vector>

namespace reprise::engine {

struct LinearOptions {
  std::int64_t epochs = 100;
  std::int64_t batch = 256;  // at most the size of the bank
  double lr = 0.1;           // falls to 0 by half a cosine
  double momentum = 0.9;
  std::uint64_t seed = 0;
};

// Scores of a softmax classifier (regression: linear regression) that was trained on `bank` by SGD
// from zeros. Features are scaled to mean 0 and deviation 1 of the bank, order is drawn by the seed
// in evaluation's own domain, and one thread computes: the bits depend on the features alone.
// Errors: those of neighbour_scores().
std::vector<SampleScore> linear_scores(const FeatureSet& bank, const FeatureSet& queries,
                                       std::int64_t classes, const LinearOptions& options,
                                       WorkerPool& pool);

}  // namespace reprise::engine
