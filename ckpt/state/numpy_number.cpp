#include "ckpt/state/numpy_number.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace reprise {

namespace {

Value unsigned_number(std::uint64_t value) {
  const bool fits = value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  return fits ? Value::integer(static_cast<std::int64_t>(value)) : Value();
}

}  // namespace

Value numpy_number(const RecordNode& scalar) {
  if (scalar.record_class != RecordClass::kNumpyScalar || scalar.fields.size() != 2) return {};
  const Value description = scalar.fields[0];
  const Value data = scalar.fields[1];
  if (!description.is_string() || data.kind() != Kind::kBytes) return {};
  std::string_view code = description.as_string();
  const bool big_endian = code.starts_with('>');
  if (!code.empty() && std::string_view("<>|=").find(code[0]) != std::string_view::npos) {
    code.remove_prefix(1);
  }
  const Bytes bytes = data.as_bytes();
  if (code.size() != 2 || bytes.size() > 8 ||
      bytes.size() != static_cast<std::size_t>(code[1] - '0'))
    return {};
  std::byte little[8] = {};
  std::copy(bytes.begin(), bytes.end(), little);
  if (big_endian) std::reverse(little, little + bytes.size());
  const auto is = [&](std::string_view wanted) { return code == wanted; };
  if (is("f8")) return Value::real(load_little<double>(little));
  if (is("f4")) return Value::real(load_little<float>(little));
  if (is("f2")) return Value::real(half_to_double(load_little<std::uint16_t>(little)));
  if (is("i8")) return Value::integer(load_little<std::int64_t>(little));
  if (is("i4")) return Value::integer(load_little<std::int32_t>(little));
  if (is("i2")) return Value::integer(load_little<std::int16_t>(little));
  if (is("i1")) return Value::integer(load_little<std::int8_t>(little));
  if (is("b1")) return Value::boolean(little[0] != std::byte{0});
  if (code[0] == 'u') return unsigned_number(load_little<std::uint64_t>(little));
  return {};
}

double half_to_double(std::uint16_t bits) {
  const int exponent = bits >> 10 & 0x1F;
  const int fraction = bits & 0x3FF;
  double value = 0;
  if (exponent == 31) {
    value = fraction == 0 ? std::numeric_limits<double>::infinity()
                          : std::numeric_limits<double>::quiet_NaN();
  } else if (exponent == 0) {
    value = std::ldexp(fraction, -24);
  } else {
    value = std::ldexp(fraction + 1024, exponent - 25);
  }
  return (bits & 0x8000) != 0 ? -value : value;
}

}  // namespace reprise
