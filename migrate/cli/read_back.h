// A written result against what it was made from, byte by byte, before it gets its name.
#pragma once

#include "ckpt/container/tensor_names.h"
#include "ckpt/state/checkpoint.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

namespace reprise::migrate {

using NamedTensors = std::vector<container::NamedTensor>;

// The tensors that a user would miss: weights, EMA, loss and optimizer state.
NamedTensors tensors_of(const Checkpoint& checkpoint);

struct ReadBackOptions {
  unsigned jobs = 0;                                 // as parallel_for takes it
  std::function<void(std::uint64_t)> on_bytes = {};  // bytes just compared; from any thread
};

// Reads `written` as a user will and compares it with `source`: a native file tensor by tensor,
// from the disk where the file system allows it, in pieces of 2 MiB a thread. Both are read once,
// tied tensors too.
// Errors: kIo when something reads back differently; kInternal when something is missing; those
// of reading. Messages say that nothing was published.
void compare_with_source(const Checkpoint& source, const std::filesystem::path& written,
                         const ReadBackOptions& options);

}  // namespace reprise::migrate
