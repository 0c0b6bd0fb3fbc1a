// gzip files to bytes.
#pragma once

#include "ckpt/base/bytes.h"

#include <string_view>
#include <vector>

namespace reprise::engine {

bool is_gzip(Bytes bytes);

// The content of a gzip file (RFC 1952, one or more members), at most `limit_bytes` of it, so
// that a small file cannot fill the memory. `name` is for messages.
// Errors: kCorrupt for damage, truncation, a checksum that differs; kUnsupported beyond the limit.
std::vector<std::byte> gunzip(Bytes bytes, std::uint64_t limit_bytes, std::string_view name);

}  // namespace reprise::engine
