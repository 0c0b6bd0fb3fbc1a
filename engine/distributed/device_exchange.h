// Tensors from GPU to GPU between the processes of a run, past the CPU.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

namespace reprise::engine {

// Moves bytes and never adds numbers, as Communicator does for what lies in memory.
// Every rank makes the same calls in the same order, one at a time.
class DeviceExchange {
 public:
  virtual ~DeviceExchange() = default;
  // Where the tensors lie that it takes.
  virtual c10::Device device() const = 0;
  // Sends `out` to `partner` and fills `in` from it; both ranks call it. Contiguous; equal lengths
  // need not be, and one may be empty. What this thread asks of the device afterwards finds `in`
  // filled, and may write to `out`. Waits until the tensors have moved.
  // Errors: as Communicator's.
  virtual void exchange(int partner, const at::Tensor& out, const at::Tensor& in) = 0;
};

}  // namespace reprise::engine
