#include "ckpt/container/hdf5_element.h"

#include "ckpt/base/byte_reader.h"
#include "ckpt/base/error.h"

#include <array>

namespace reprise::container {

namespace {

std::optional<DType> integer_type(std::uint64_t size, bool is_signed, Bytes properties) {
  // An integer that fills only some bits of its bytes has no dtype.
  if (properties.size() < 4 || load_little<std::uint16_t>(properties.data()) != 0 ||
      load_little<std::uint16_t>(properties.data() + 2) != size * 8) {
    return std::nullopt;
  }
  switch (size) {
    case 1: return is_signed ? DType::kInt8 : DType::kUInt8;
    case 2: return is_signed ? DType::kInt16 : DType::kUInt16;
    case 4: return is_signed ? DType::kInt32 : DType::kUInt32;
    case 8: return is_signed ? DType::kInt64 : DType::kUInt64;
    default: return std::nullopt;
  }
}

// Sign, exponent and mantissa as IEEE 754 (or bfloat16) places them.
std::optional<DType> float_type(std::uint64_t size, Bytes properties, unsigned sign_at) {
  if (properties.size() < 12) return std::nullopt;
  const auto byte = [&](std::size_t i) { return std::to_integer<unsigned>(properties[i]); };
  const auto bias = load_little<std::uint32_t>(properties.data() + 8);
  const auto is = [&](std::uint64_t bytes, unsigned exponent_at, unsigned exponent, unsigned b) {
    return size == bytes && sign_at == bytes * 8 - 1 && byte(4) == exponent_at &&
           byte(5) == exponent && byte(6) == 0 && byte(7) == exponent_at && bias == b;
  };
  if (is(2, 10, 5, 15)) return DType::kFloat16;
  if (is(2, 7, 8, 127)) return DType::kBFloat16;
  if (is(4, 23, 8, 127)) return DType::kFloat32;
  if (is(8, 52, 11, 1023)) return DType::kFloat64;
  return std::nullopt;
}

}  // namespace

std::string_view name(Hdf5Class type_class) {
  constexpr std::array<std::string_view, 11> kNames = {
      "integer",     "float",           "time",     "text",
      "bitfield",    "opaque",          "compound", "reference",
      "enumeration", "variable_length", "array"};
  const auto at = static_cast<unsigned>(type_class);
  return at < kNames.size() ? kNames[at] : "unknown";
}

Hdf5Element read_element(Bytes message) {
  ByteReader in(message);
  const unsigned head = in.number<std::uint8_t>("a datatype");
  const unsigned flags =
      in.number<std::uint8_t>("a datatype") | in.number<std::uint8_t>("a datatype") * 256u;
  in.take(1, "a datatype");
  Hdf5Element element{Hdf5Class{head & 15}, in.number<std::uint32_t>("a datatype"), {}};
  const Bytes properties = in.take(in.remaining(), "a datatype");
  switch (element.type_class) {
    case Hdf5Class::kInteger:
      element.number = integer_type(element.size, (flags & 8) != 0, properties);
      element.big_endian = (flags & 1) != 0;
      break;
    case Hdf5Class::kFloat:
      element.number = float_type(element.size, properties, flags >> 8);
      element.big_endian = (flags & 1) != 0;
      break;
    case Hdf5Class::kEnumeration:
      if (element.size == 1 && flags == 2) element.number = DType::kBool;  // h5py's bool
      break;
    case Hdf5Class::kText:
      element.ends_at_zero = (flags & 15) == 0;
      element.space_padded = (flags & 15) == 2;
      break;
    case Hdf5Class::kVariableLength: element.variable_text = (flags & 15) == 1; break;
    default: break;
  }
  return element;
}

std::optional<Shape> read_space(Bytes message) {
  ByteReader in(message);
  const auto version = in.number<std::uint8_t>("a dataspace");
  const auto rank = in.number<std::uint8_t>("a dataspace");
  in.take(1, "a dataspace");
  const auto type = in.number<std::uint8_t>("a dataspace");
  if (version == 1) in.take(4, "a dataspace");
  if (version == 0 || version > 2) {
    fail(Code::kUnsupported,
         "HDF5: a dataspace of version {}; rewrite the file with h5repack or h5py in its default "
         "format",
         version);
  }
  if (version == 2 && type == 2) return std::nullopt;
  Shape shape;
  for (unsigned d = 0; d < rank; ++d) shape.push_back(in.number<std::int64_t>("an extent"));
  count_elements(shape);
  return shape;
}

}  // namespace reprise::container
