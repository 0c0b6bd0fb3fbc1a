// numpy scalars as plain numbers.
#pragma once

#include "ckpt/state/value.h"

#include <cstdint>

namespace reprise {

// The number in a numpy scalar (kNumpyScalar) of a boolean, integer or floating dtype
// of up to 64 bits, as kBool, kInt or kFloat; none for every other dtype, and for an
// unsigned value over 63 bits. Source of the type codes: numpy's array interface, version 3.
Value numpy_number(const RecordNode& scalar);

// The number that IEEE 754 binary16 gives these bits.
double half_to_double(std::uint16_t bits);

}  // namespace reprise
