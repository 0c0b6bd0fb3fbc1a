// Exponential moving average of weights.
#pragma once

#include "engine/weights/weights.h"
#include "engine/workers/worker_pool.h"

namespace reprise::engine {

// average = average + (1 - decay) * (current - average), elementwise in float32; buffers of
// floating-point type too, integer ones are copied. Bits do not depend on threads.
void update_average(Weights& average, const Weights& current, double decay, WorkerPool& pool);

// The same for parameters alone: of a teacher that gathers its own statistics.
void update_parameter_average(Weights& average, const Weights& current, double decay,
                              WorkerPool& pool);

}  // namespace reprise::engine
