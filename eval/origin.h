// --compare-origin: is an offline evaluation what training logged, to the last bit?
#pragma once

#include "engine/metrics/metrics.h"
#include "eval/subject.h"

#include <optional>
#include <string>
#include <vector>

namespace reprise::eval {

struct OriginComparison {
  // Nothing: training logged no value for this state.
  std::optional<bool> equal;
  struct Difference {
    std::string metric;
    double trained = 0, found = 0;
  };
  std::vector<Difference> differences;
  // What the two evaluations are seen to differ in, most likely first.
  std::vector<std::string> causes;
};

// Compares bits, so NaN equals NaN.
OriginComparison compare_with_training(const Subject& subject, const engine::Metrics& metrics,
                                       c10::Device device);

}  // namespace reprise::eval
