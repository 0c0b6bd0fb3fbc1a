// TFRecord files, as TensorFlow's record_writer.h describes them: length, masked CRC-32C of the
// length, data, masked CRC-32C of the data; all numbers little-endian.
#pragma once

#include "ckpt/base/file.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace reprise::tensorboard {

// CRC-32C (RFC 3720, appendix B.4).
std::uint32_t crc32c(std::string_view bytes);

// A record as it stands in a file. Cost: O(size).
std::string framed(std::string_view data);

// Calls `visit` with each whole record until it returns false, and gives the place in the file
// behind the last record that it accepted. A torn or damaged record ends the file. Errors: kIo,
// kNotFound; kCorrupt for a file over 1 GiB.
std::uint64_t read_records(const std::filesystem::path& path,
                           const std::function<bool(std::string_view)>& visit);

}  // namespace reprise::tensorboard
