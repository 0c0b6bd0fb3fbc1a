// The bytes of a tensor of a GPU as a Storage.
#pragma once

#include "ckpt/state/storage.h"

#include <ATen/core/Tensor.h>

namespace reprise::engine {

// They come to the host when they are asked for and go where they are wanted, without a copy in
// between.
class DeviceStorage : public Storage {
 public:
  // Keeps `tensor`, which is contiguous, alive.
  explicit DeviceStorage(const at::Tensor& tensor);

  std::uint64_t size_bytes() const override;
  // Errors: c10::Error of the device.
  void read(std::uint64_t offset, MutableBytes out) const override;
  const void* identity() const override;

  // uint8 [size_bytes()]
  const at::Tensor& bytes() const { return bytes_; }

 private:
  at::Tensor bytes_;
};

}  // namespace reprise::engine
