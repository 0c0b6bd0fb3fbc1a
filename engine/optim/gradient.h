// Norm and clipping of a reduced gradient.
#pragma once

#include "engine/weights/layout.h"
#include "engine/workers/worker_pool.h"

#include <ATen/core/Tensor.h>

#include <vector>

namespace reprise::engine {

// L2 norm over all parameters. Squares are summed in float64 in fixed leaves of 64 Ki
// elements, the leaves in the fixed tree of shards/tree.h: the same bits on any number of
// threads. NaN or infinity when an element is.
double gradient_norm(const at::Tensor& gradient, WorkerPool& pool);

// The same of each of several flat tensors of one device, for which the host waits once; a GPU sums
// its leaves itself.
std::vector<double> l2_norms(const std::vector<at::Tensor>& parts, WorkerPool& pool);

// What StepOptions::gradient_scale is to be for clipping to `max_norm`, as
// torch.nn.utils.clip_grad_norm_: min(1, max_norm / (norm + 1e-6)); 1 when max_norm is 0.
float clip_scale(double norm, double max_norm);

}  // namespace reprise::engine
