// The digest of a tensor that lies in the memory of a CUDA device: the bits of tensor_digest.h,
// without a copy of the tensor. Built where REPRISE_WITH_CUDA finds a toolkit.
#pragma once

#include "repro/ledger/tensor_digest.h"

#include <span>
#include <string_view>

namespace reprise::ledger {

// Whether a device and a driver are there.
bool cuda_is_there();

// As digest_tensor(), for `bytes` bytes at the device address `data`, on the device that is
// current. Waits for the default stream. Cost: one read of device memory, and 16 bytes to the host
// for each 64 KiB. Errors: kIo with what CUDA says.
TensorDigest digest_on_cuda(std::string_view name, DType dtype, std::span<const std::int64_t> shape,
                            const void* data, std::uint64_t bytes);

}  // namespace reprise::ledger
