// Copies between the host and the watched device.
#pragma once

#include <ATen/core/Tensor.h>

namespace reprise::engine {

// aten::_copy_from. From pinned memory the device copies some time later; for everything else the
// host waits.
at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool non_blocking);

}  // namespace reprise::engine
