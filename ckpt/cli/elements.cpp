#include "ckpt/cli/elements.h"

#include "ckpt/base/error.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <memory>

namespace reprise::cli {

namespace {

// A floating-point format of at most 16 bits.
struct SmallFloat {
  int exponent_bits;
  int mantissa_bits;
  int bias;
  enum class Specials : std::uint8_t {
    kIeee,  // highest exponent: infinity and NaN
    kFn,    // no infinity; all ones is NaN
    kFnuz,  // no infinity, no negative zero; negative zero is NaN
    kScale  // unsigned power of two; all ones is NaN
  } specials;
};
using Specials = SmallFloat::Specials;

constexpr SmallFloat kFloat16Format{5, 10, 15, Specials::kIeee};
constexpr SmallFloat kBFloat16Format{8, 7, 127, Specials::kIeee};
constexpr SmallFloat kE4M3FN{4, 3, 7, Specials::kFn};
constexpr SmallFloat kE5M2{5, 2, 15, Specials::kIeee};
constexpr SmallFloat kE4M3FNUZ{4, 3, 8, Specials::kFnuz};
constexpr SmallFloat kE5M2FNUZ{5, 2, 16, Specials::kFnuz};
constexpr SmallFloat kE8M0FNU{8, 0, 127, Specials::kScale};

const SmallFloat* small_float(DType dtype) {
  switch (dtype) {
    case DType::kFloat16:
    case DType::kComplex32: return &kFloat16Format;
    case DType::kBFloat16: return &kBFloat16Format;
    case DType::kFloat8E4M3FN: return &kE4M3FN;
    case DType::kFloat8E5M2: return &kE5M2;
    case DType::kFloat8E4M3FNUZ: return &kE4M3FNUZ;
    case DType::kFloat8E5M2FNUZ: return &kE5M2FNUZ;
    case DType::kFloat8E8M0FNU: return &kE8M0FNU;
    default: return nullptr;
  }
}

int width_bits(const SmallFloat& format) {
  return format.exponent_bits + format.mantissa_bits +
         (format.specials == Specials::kScale ? 0 : 1);
}

double decode(const SmallFloat& format, unsigned bits) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  if (format.specials == Specials::kScale) {
    return bits == 0xFF ? nan : std::ldexp(1.0, static_cast<int>(bits) - format.bias);
  }
  const unsigned sign_bit = 1u << (format.exponent_bits + format.mantissa_bits);
  const unsigned magnitude = bits & (sign_bit - 1);
  const bool negative = (bits & sign_bit) != 0;
  const unsigned top = (1u << format.exponent_bits) - 1;
  const unsigned exponent = magnitude >> format.mantissa_bits;
  const unsigned mantissa = magnitude & ((1u << format.mantissa_bits) - 1);
  if (format.specials == Specials::kFnuz && negative && magnitude == 0) return nan;
  if (format.specials == Specials::kFn && magnitude == sign_bit - 1) return nan;
  double value = 0;
  if (format.specials == Specials::kIeee && exponent == top) {
    value = mantissa == 0 ? std::numeric_limits<double>::infinity() : nan;
  } else if (exponent == 0) {
    value = std::ldexp(mantissa, 1 - format.bias - format.mantissa_bits);
  } else {
    value = std::ldexp((1u << format.mantissa_bits) + mantissa,
                       static_cast<int>(exponent) - format.bias - format.mantissa_bits);
  }
  return negative ? -value : value;
}

// Every value of one format: decoding is then a look-up.
using Table = std::vector<double>;
const Table& table_of(const SmallFloat& format) {
  const auto make = [](const SmallFloat& f) {
    Table table(std::size_t{1} << width_bits(f));
    for (unsigned bits = 0; bits < table.size(); ++bits) table[bits] = decode(f, bits);
    return table;
  };
  static const Table float16 = make(kFloat16Format);
  static const Table bfloat16 = make(kBFloat16Format);
  static const std::array<Table, 5> bytes = {make(kE4M3FN), make(kE5M2), make(kE4M3FNUZ),
                                             make(kE5M2FNUZ), make(kE8M0FNU)};
  if (&format == &kFloat16Format) return float16;
  if (&format == &kBFloat16Format) return bfloat16;
  if (&format == &kE4M3FN) return bytes[0];
  if (&format == &kE5M2) return bytes[1];
  if (&format == &kE4M3FNUZ) return bytes[2];
  if (&format == &kE5M2FNUZ) return bytes[3];
  return bytes[4];
}

unsigned encode(const SmallFloat& format, double value) {
  const unsigned sign_bit = 1u << (format.exponent_bits + format.mantissa_bits);
  const unsigned top = (1u << format.exponent_bits) - 1;
  const bool scale = format.specials == Specials::kScale;
  if (std::isnan(value)) {
    if (format.specials == Specials::kFnuz) return sign_bit;
    if (format.specials == Specials::kIeee)
      return (top << format.mantissa_bits) | (1u << (format.mantissa_bits - 1));
    return scale ? 0xFF : sign_bit - 1;
  }
  const unsigned sign = std::signbit(value) && !scale ? sign_bit : 0;
  const double magnitude = std::abs(value);
  const unsigned infinity = format.specials == Specials::kIeee ? top << format.mantissa_bits
                            : format.specials == Specials::kFn ? sign_bit - 1
                            : scale                            ? 0xFF
                                                               : sign_bit;
  if (magnitude == 0 && !scale) return format.specials == Specials::kFnuz ? 0 : sign;
  if (std::isinf(value)) return format.specials == Specials::kFnuz ? infinity : sign | infinity;
  int exponent = 0;
  std::frexp(magnitude, &exponent);  // magnitude = f * 2^exponent, f in [0.5, 1)
  exponent = std::max(exponent - 1, scale ? -format.bias : 1 - format.bias);
  // In units of the last place; nearbyint rounds ties to even.
  const double units = std::nearbyint(std::ldexp(magnitude, format.mantissa_bits - exponent));
  unsigned bits = 0;
  if (scale) {
    bits = static_cast<unsigned>(exponent + format.bias + (units >= 2 ? 1 : 0));
  } else {
    const int base = exponent + format.bias - 1;  // the implicit bit adds one to the exponent
    bits = (static_cast<unsigned>(base) << format.mantissa_bits) + static_cast<unsigned>(units);
  }
  const unsigned beyond = format.specials == Specials::kIeee ? infinity
                          : scale                            ? 0xFF
                                  : sign_bit - (format.specials == Specials::kFn ? 1 : 0);
  if (bits >= beyond) return format.specials == Specials::kFnuz ? infinity : sign | infinity;
  if (format.specials == Specials::kFnuz && bits == 0) return 0;
  return sign | bits;
}

template <typename T>
void widen(Bytes bytes, std::vector<double>& out) {
  out.resize(bytes.size() / sizeof(T));
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<double>(load_little<T>(bytes.data() + i * sizeof(T)));
  }
}

template <typename T>
void look_up(const Table& table, Bytes bytes, std::vector<double>& out) {
  out.resize(bytes.size() / sizeof(T));
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = table[load_little<T>(bytes.data() + i * sizeof(T))];
  }
}

template <typename T>
void narrow(std::span<const double> numbers, MutableBytes out) {
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    T value{};
    if constexpr (std::is_floating_point_v<T>) {
      value = static_cast<T>(numbers[i]);
    } else if (!std::isnan(numbers[i])) {
      // The largest 64-bit numbers are no doubles: compare before converting.
      const double rounded = std::nearbyint(numbers[i]);
      const auto low = static_cast<double>(std::numeric_limits<T>::min());
      const auto high = static_cast<double>(std::numeric_limits<T>::max());
      value = rounded <= low    ? std::numeric_limits<T>::min()
              : rounded >= high ? std::numeric_limits<T>::max()
                                : static_cast<T>(rounded);
    }
    store_little(out.data() + i * sizeof(T), value);
  }
}

// Bit patterns in the order of the numbers they stand for, negative ones below zero.
template <typename Bits>
std::int64_t ordered(Bits bits, int width) {
  const auto sign = std::uint64_t{1} << (width - 1);
  const auto wide = static_cast<std::uint64_t>(bits);
  const auto magnitude = static_cast<std::int64_t>(wide & (sign - 1));
  return (wide & sign) != 0 ? -magnitude : magnitude;
}

template <typename Bits>
std::uint64_t float_distance(Bits a, Bits b, bool a_nan, bool b_nan, int width) {
  if (a_nan || b_nan) return a_nan && b_nan ? 0 : std::numeric_limits<std::uint64_t>::max();
  const std::int64_t x = ordered(a, width);
  const std::int64_t y = ordered(b, width);
  return x > y ? static_cast<std::uint64_t>(x) - static_cast<std::uint64_t>(y)
               : static_cast<std::uint64_t>(y) - static_cast<std::uint64_t>(x);
}

template <typename T>
std::uint64_t integer_distance(Bytes a, Bytes b, std::size_t index) {
  const T x = load_little<T>(a.data() + index * sizeof(T));
  const T y = load_little<T>(b.data() + index * sizeof(T));
  return x > y ? static_cast<std::uint64_t>(x) - static_cast<std::uint64_t>(y)
               : static_cast<std::uint64_t>(y) - static_cast<std::uint64_t>(x);
}

template <typename Float, typename Bits>
std::uint64_t ieee_distance(Bytes a, Bytes b, std::size_t index) {
  const auto x = load_little<Bits>(a.data() + index * sizeof(Bits));
  const auto y = load_little<Bits>(b.data() + index * sizeof(Bits));
  return float_distance(x, y, std::isnan(std::bit_cast<Float>(x)),
                        std::isnan(std::bit_cast<Float>(y)), 8 * static_cast<int>(sizeof(Bits)));
}

}  // namespace

std::size_t components(DType dtype) { return is_complex(dtype) ? 2 : 1; }

void to_doubles(DType dtype, Bytes bytes, std::vector<double>& out) {
  if (const SmallFloat* format = small_float(dtype)) {
    const Table& table = table_of(*format);
    if (width_bits(*format) == 16) {
      look_up<std::uint16_t>(table, bytes, out);
    } else {
      look_up<std::uint8_t>(table, bytes, out);
    }
    return;
  }
  switch (dtype) {
    case DType::kInt8:
    case DType::kQInt8: return widen<std::int8_t>(bytes, out);
    case DType::kUInt16: return widen<std::uint16_t>(bytes, out);
    case DType::kInt16: return widen<std::int16_t>(bytes, out);
    case DType::kUInt32: return widen<std::uint32_t>(bytes, out);
    case DType::kInt32:
    case DType::kQInt32: return widen<std::int32_t>(bytes, out);
    case DType::kUInt64: return widen<std::uint64_t>(bytes, out);
    case DType::kInt64: return widen<std::int64_t>(bytes, out);
    case DType::kFloat32:
    case DType::kComplex64: return widen<float>(bytes, out);
    case DType::kFloat64:
    case DType::kComplex128: return widen<double>(bytes, out);
    default: return widen<std::uint8_t>(bytes, out);
  }
}

void from_doubles(DType dtype, std::span<const double> numbers, MutableBytes out) {
  if (const SmallFloat* format = small_float(dtype)) {
    const bool wide = width_bits(*format) == 16;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const unsigned bits = encode(*format, numbers[i]);
      if (wide) {
        store_little(out.data() + 2 * i, static_cast<std::uint16_t>(bits));
      } else {
        out[i] = static_cast<std::byte>(bits);
      }
    }
    return;
  }
  switch (dtype) {
    case DType::kInt8: return narrow<std::int8_t>(numbers, out);
    case DType::kUInt16: return narrow<std::uint16_t>(numbers, out);
    case DType::kInt16: return narrow<std::int16_t>(numbers, out);
    case DType::kUInt32: return narrow<std::uint32_t>(numbers, out);
    case DType::kInt32: return narrow<std::int32_t>(numbers, out);
    case DType::kUInt64: return narrow<std::uint64_t>(numbers, out);
    case DType::kInt64: return narrow<std::int64_t>(numbers, out);
    case DType::kFloat32:
    case DType::kComplex64: return narrow<float>(numbers, out);
    case DType::kFloat64:
    case DType::kComplex128: return narrow<double>(numbers, out);
    case DType::kBool:
    case DType::kUInt8: return narrow<std::uint8_t>(numbers, out);
    default: fail(Code::kUnsupported, "numbers cannot be stored as {}", name(dtype));
  }
}

std::uint64_t ulp_distance(DType dtype, Bytes a, Bytes b, std::size_t index) {
  if (const SmallFloat* format = small_float(dtype)) {
    const Table& table = table_of(*format);
    const int width = width_bits(*format);
    const auto at = [&](Bytes bytes) -> std::uint32_t {
      if (width == 16) return load_little<std::uint16_t>(bytes.data() + 2 * index);
      return load_little<std::uint8_t>(bytes.data() + index);
    };
    const std::uint32_t x = at(a);
    const std::uint32_t y = at(b);
    if (format->specials == Specials::kScale) return integer_distance<std::uint8_t>(a, b, index);
    return float_distance(x, y, std::isnan(table[x]), std::isnan(table[y]), width);
  }
  switch (dtype) {
    case DType::kFloat32:
    case DType::kComplex64: return ieee_distance<float, std::uint32_t>(a, b, index);
    case DType::kFloat64:
    case DType::kComplex128: return ieee_distance<double, std::uint64_t>(a, b, index);
    case DType::kInt8:
    case DType::kQInt8: return integer_distance<std::int8_t>(a, b, index);
    case DType::kUInt16: return integer_distance<std::uint16_t>(a, b, index);
    case DType::kInt16: return integer_distance<std::int16_t>(a, b, index);
    case DType::kUInt32: return integer_distance<std::uint32_t>(a, b, index);
    case DType::kInt32:
    case DType::kQInt32: return integer_distance<std::int32_t>(a, b, index);
    case DType::kUInt64: return integer_distance<std::uint64_t>(a, b, index);
    case DType::kInt64: return integer_distance<std::int64_t>(a, b, index);
    default: return integer_distance<std::uint8_t>(a, b, index);
  }
}

}  // namespace reprise::cli
