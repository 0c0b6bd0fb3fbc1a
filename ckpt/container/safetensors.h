// safetensors: named tensors and text, nothing else (format of the library's 0.x).
#pragma once

#include "ckpt/container/hdf5.h"
#include "ckpt/state/value.h"

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>

namespace reprise::container {

// The largest header that readers accept.
inline constexpr std::uint64_t kSafetensorsHeaderLimit = 100'000'000;

// A flat dict of names to mapped tensors, in the order of the file's data; text of
// `__metadata__` is the dict's `attributes`. Cost: O(tensors), no tensor is read.
// Errors: kNotFound, kIo; kCorrupt for a header that is too long, not UTF-8, not JSON,
// with repeated names, with extents that overlap, leave a hole or do not end where the
// file does, or whose size is not shape x dtype; kUnsupported for an unknown dtype.
Document open_safetensors(const std::filesystem::path& path);

// Writes named tensors, in the format's order (alignment descending, then name), and
// publishes the file durably, with WriteOptions as for write_hdf5().
// Errors: kIo; kUnsupported for a dtype the format lacks, or a header over the limit;
// kUsage for a repeated name and for the reserved name `__metadata__`.
WriteReport write_safetensors(const std::filesystem::path& target,
                              std::span<const std::pair<std::string, Tensor>> tensors,
                              const std::map<std::string, std::string>& metadata,
                              const WriteOptions& options = {});

}  // namespace reprise::container
