// One step of BatchNorm's running statistics from the moments of all leaves of an update.
#pragma once

#include "engine/models/pass.h"
#include "engine/weights/weights.h"

#include <span>
#include <vector>

namespace reprise::engine {

// `leaves`: Layout::moment_elements() numbers each, in leaf order. Per layer and channel, in
// float64: n = sum n_i, mean = (sum n_i mean_i) / n, variance = (sum n_i (variance_i +
// mean_i^2)) / n - mean^2, times n / (n - 1); then running = (1 - m) running + m value, rounded to
// float32 once. A layer that no leaf used (n = 0) stays as it is.
void fold_running_statistics(Weights& weights, std::span<const double> leaves);

}  // namespace reprise::engine
