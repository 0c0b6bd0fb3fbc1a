// Numbers out of tensor bytes, of every element type, and back.
#pragma once

#include "ckpt/base/bytes.h"
#include "ckpt/state/dtype.h"

#include <cstdint>
#include <span>
#include <vector>

namespace reprise::cli {

// Numbers that one element holds: 2 for complex types, else 1.
std::size_t components(DType dtype);

// The numbers in `bytes`, whole elements of `dtype`, as double. 64-bit integers are
// rounded to 53 bits. Packed 4-bit types give one number a byte.
void to_doubles(DType dtype, Bytes bytes, std::vector<double>& out);

// The reverse, rounded to nearest, ties to even. Integers and bools are clamped to
// their range. `out` has room for exactly `numbers`.
void from_doubles(DType dtype, std::span<const double> numbers, MutableBytes out);

// How many representable numbers lie between the two numbers at `a` and `b` (units in
// the last place); for integers their distance. Two NaNs are 0 apart, NaN and a number
// the maximum of the type. `index` counts components.
std::uint64_t ulp_distance(DType dtype, Bytes a, Bytes b, std::size_t index);

}  // namespace reprise::cli
