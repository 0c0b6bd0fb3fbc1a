// Many tensors of a GPU on the host, for few copies.
#pragma once

#include "ckpt/state/tensor.h"

#include <vector>

namespace reprise::engine {

// The same tensors in the same order; those that view_of() has made of a GPU's are in memory of the
// host. The host waits for the device once for each buffer that tensors lie in together, and once
// for all that lie alone and are small, where reading one after another would wait for each. Costs
// the memory of what is fetched. Errors: c10::Error of the device.
std::vector<Tensor> fetched(std::vector<Tensor> tensors);

}  // namespace reprise::engine
