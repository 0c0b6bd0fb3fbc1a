// at::Tensor to and from Tensor.
#pragma once

#include "ckpt/state/tensor.h"

#include <ATen/core/Tensor.h>

namespace reprise::engine {

// Errors: kUnsupported for an element type that the other side does not have.
at::ScalarType to_torch(DType dtype);
DType from_torch(at::ScalarType type);

// A view of the memory of `tensor`, which is kept alive; strides stay. What is on a GPU comes to
// the host when it is read, as much of it as is read, straight to where it is wanted; what is not
// contiguous there is gathered there at once. A later write to `tensor` is seen through the view:
// take a snapshot before training goes on.
// Errors: kUnsupported for sparse, quantized and meta tensors and negative strides; reading gives
// c10::Error for what the device says.
Tensor view_of(const at::Tensor& tensor);

// The values of `tensor` in contiguous memory of its own, on the CPU.
// Errors: kUnsupported (element type), kIo, kCorrupt.
at::Tensor copy_of(const Tensor& tensor);

// Overwrites the values of `target` (any device, any strides) with those of `source`,
// converting between floating-point types. Mapped source bytes are copied once.
// Errors: kMismatch for another shape; kUnsupported; kIo, kCorrupt.
void copy_into(const Tensor& source, at::Tensor target);

}  // namespace reprise::engine
