// The mean of tensors, computed where and when it is read.
#pragma once

#include "ckpt/state/tensor.h"

#include <vector>

namespace reprise::cli {

// Element-wise mean of `tensors`, all of one type and shape, in float64 and in the order
// given, then rounded to their type (to nearest, ties to even). Nothing is computed
// until the result is read; a piece read costs that piece of each tensor, so that
// states larger than memory can be averaged. Safe to read from several threads.
// Errors: kUnsupported for types that have no mean (packed and quantized ones).
Tensor mean_of(std::vector<Tensor> tensors);

}  // namespace reprise::cli
