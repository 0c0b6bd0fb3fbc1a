// The values of a tensor as one contiguous run of bytes.
#pragma once

#include "ckpt/state/tensor.h"

#include <vector>

namespace reprise::cli {

// Where the values lie in memory or in a mapping they are used there; otherwise they are
// read once. Not copyable: `bytes()` may point into itself.
class TensorBytes {
 public:
  // Errors: those of Tensor::read.
  explicit TensorBytes(const Tensor& tensor) : tensor_(tensor), bytes_(tensor.in_place()) {
    if (tensor.size_bytes() == 0) return;
    if (bytes_.empty()) {
      owned_ = tensor.to_bytes();
      bytes_ = owned_;
    } else {
      tensor.storage()->prepare(
          static_cast<std::uint64_t>(tensor.offset()) * item_size(tensor.dtype()), bytes_.size());
    }
  }
  TensorBytes(const TensorBytes&) = delete;
  TensorBytes& operator=(const TensorBytes&) = delete;

  Bytes bytes() const { return bytes_; }

 private:
  Tensor tensor_;  // keeps the mapping
  std::vector<std::byte> owned_;
  Bytes bytes_;
};

}  // namespace reprise::cli
