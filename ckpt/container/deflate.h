// Deflate streams and CRC-32, through libdeflate.
#pragma once

#include "ckpt/base/bytes.h"

#include <cstdint>

namespace reprise::container {

// The CRC-32 of ZIP (ISO 3309) of `bytes`, continuing from `seed` (that of what came
// before). About 10 GB/s a core where the CPU multiplies without carry.
std::uint32_t crc32(Bytes bytes, std::uint32_t seed = 0);

// Fills `out` from a raw deflate stream, which must end exactly with it.
// Errors: kCorrupt when the stream is damaged or holds more or fewer bytes.
void inflate(Bytes compressed, MutableBytes out);

}  // namespace reprise::container
