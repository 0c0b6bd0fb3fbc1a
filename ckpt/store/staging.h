// A copy of a checkpoint's state in one reusable block of memory.
#pragma once

#include "ckpt/base/bytes.h"
#include "ckpt/state/checkpoint.h"

#include <cstddef>
#include <functional>
#include <memory>

namespace reprise::store {

// Whether a tensor is to be copied; empty: all are.
using Wanted = std::function<bool(const Tensor&)>;

// Owned and used by one thread at a time. Memory is mapped in huge pages where the
// kernel has them, populated when it is first needed, and kept.
class StagingBuffer {
 public:
  StagingBuffer() = default;
  StagingBuffer(const StagingBuffer&) = delete;
  StagingBuffer& operator=(const StagingBuffer&) = delete;

  // A checkpoint that equals `checkpoint`, whose state dicts, optimizer, scheduler and
  // scaler lie in this buffer. Tensors that were one stay one. It is valid until the
  // next call; the one before must not be read by anyone then. `unmapped` and `source`
  // do not change during training and are shared. In the place of a tensor that is not wanted
  // stands one of its type and shape, tied to others as it was, whose values nobody may read.
  // Cost: one memcpy of the state on `jobs` threads, at memory speed from the second
  // call on. Errors: kIo when there is no memory; those of Storage::read.
  Checkpoint copy(const Checkpoint& checkpoint, unsigned jobs, const Wanted& wanted = {});

  std::size_t capacity_bytes() const { return capacity_; }

 private:
  void reserve(std::size_t bytes);

  std::shared_ptr<std::byte> memory_;
  std::size_t capacity_ = 0;
};

}  // namespace reprise::store
