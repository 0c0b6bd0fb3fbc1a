// How much two tensors of one name differ.
#pragma once

#include "ckpt/state/tensor.h"

#include <cstdint>
#include <string>
#include <vector>

namespace reprise::cli {

// Measured over all components (complex numbers have two). Where shapes differ nothing
// is measured; where only element types do, values are compared as doubles, without ULP.
struct Difference {
  bool same_dtype = true;
  bool same_shape = true;
  bool equal = true;            // bit for bit, type and shape included
  std::uint64_t differing = 0;  // components whose bits differ
  double max_abs = 0;           // infinite where one is NaN or infinite and the other not
  double max_rel = 0;           // |a - b| / max(|a|, |b|)
  std::uint64_t max_ulp = 0;
  std::vector<std::int64_t> first_index;  // of the first element that differs
};

// One pass over both, in pieces. Errors: those of Tensor::read.
Difference compare(const Tensor& a, const Tensor& b);

}  // namespace reprise::cli
