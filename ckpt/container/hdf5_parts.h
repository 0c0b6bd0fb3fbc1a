// What every structure of a foreign HDF5 file is read with: signatures, checksums, and how it is
// refused.
#pragma once

#include "ckpt/base/byte_reader.h"
#include "ckpt/base/bytes.h"

#include <cstdint>
#include <string_view>

namespace reprise::container {

// Levels of a B-tree; no real file comes near.
inline constexpr unsigned kDepthOfTrees = 16;

// Errors: kCorrupt, naming the address.
[[noreturn]] void wrong(std::uint64_t address, std::string_view what);
// Errors: kUnsupported, for what is no damage.
[[noreturn]] void refuse(std::string_view what);

// Takes a signature. Errors: kCorrupt when something else stands there.
void expect(ByteReader& in, std::string_view signature);

// The next `bytes` (at most 8) as a little-endian number.
std::uint64_t take_sized(ByteReader& in, unsigned bytes, std::string_view what);

// Compares the checksum that ends `whole` with the bytes before it. Errors: kCorrupt.
void compare_checksum(Bytes whole, std::uint64_t address);

}  // namespace reprise::container
