// The optimizers behind make_optimizer().
#pragma once

#include "engine/optim/optimizer.h"

#include <memory>

namespace reprise::engine {

std::unique_ptr<Optimizer> make_sgd(const OptimizerOptions& options, const Weights& weights);
std::unique_ptr<Optimizer> make_adam(const OptimizerOptions& options, const Weights& weights);
std::unique_ptr<Optimizer> make_lars(const OptimizerOptions& options, const Weights& weights);

}  // namespace reprise::engine
