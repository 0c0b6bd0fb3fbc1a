#include "ckpt/container/hdf5_types.h"

#include <initializer_list>

namespace reprise::container {

namespace {

enum Class : unsigned { kFixedPoint = 0, kFloat = 1, kString = 3, kCompound = 6, kArray = 10 };

// Class and version, 24 bits of flags, size.
void put_head(ByteWriter& out, Class type_class, unsigned version, unsigned flags,
              std::size_t size) {
  out.u8(version << 4 | type_class)
      .u8(flags & 0xff)
      .u8(flags >> 8 & 0xff)
      .u8(flags >> 16)
      .u32(size);
}

void put_integer(ByteWriter& out, std::size_t size, bool is_signed) {
  put_head(out, kFixedPoint, 1, is_signed ? 8 : 0, size);
  out.u16(0).u16(size * 8);
}

struct FloatFields {
  unsigned size, sign_at, exponent_at, exponent_bits, mantissa_bits, bias;
};

void put_float(ByteWriter& out, const FloatFields& f) {
  // Flags: little-endian, implied leading mantissa bit, location of the sign.
  put_head(out, kFloat, 1, 2u << 4 | f.sign_at << 8, f.size);
  out.u16(0).u16(f.size * 8);
  out.u8(f.exponent_at).u8(f.exponent_bits).u8(0).u8(f.mantissa_bits).u32(f.bias);
}

constexpr FloatFields kHalf = {2, 15, 10, 5, 10, 15};
constexpr FloatFields kBrain = {2, 15, 7, 8, 7, 127};
constexpr FloatFields kSingle = {4, 31, 23, 8, 23, 127};
constexpr FloatFields kDouble = {8, 63, 52, 11, 52, 1023};
constexpr FloatFields kE5M2 = {1, 7, 2, 5, 2, 15};

void put_member(ByteWriter& out, std::string_view name, unsigned offset) {
  // Version 3: the name ends with a zero, offsets take as few bytes as the size needs.
  out.text(name).u8(0).u8(offset);
}

// The convention of h5py and NumPy: a pair of r and i.
void put_complex(ByteWriter& out, const FloatFields& part) {
  put_head(out, kCompound, 3, 2, part.size * 2);
  put_member(out, "r", 0);
  put_float(out, part);
  put_member(out, "i", part.size);
  put_float(out, part);
}

void put_digest_type(ByteWriter& out) {
  put_head(out, kArray, 3, 0, 32);
  out.u8(1).u32(32);
  put_integer(out, 1, false);
}

void put_record_type(ByteWriter& out) {
  struct Field {
    std::string_view name;
    unsigned offset, size;
  };
  // DO NOT CHANGE: the layout of TensorRecord in files.
  constexpr Field kNumbers[] = {{"name_at", 0, 4}, {"name_length", 4, 4}, {"shape_at", 8, 4},
                                {"rank", 12, 2},   {"flags", 14, 2},      {"offset", 16, 8},
                                {"bytes", 24, 8},  {"chunk_at", 32, 4},   {"chunks", 36, 4}};
  put_head(out, kCompound, 3, 11, kTensorRecordBytes);
  for (const Field& field : kNumbers) {
    put_member(out, field.name, field.offset);
    put_integer(out, field.size, false);
  }
  put_member(out, "dtype", 40);
  put_head(out, kString, 1, 1, 16);  // null-padded ASCII
  put_member(out, "sha256", 56);
  put_digest_type(out);
}

void put_tensor_type(ByteWriter& out, DType dtype) {
  switch (dtype) {
    case DType::kInt8:
    case DType::kQInt8: return put_integer(out, 1, true);
    case DType::kInt16: return put_integer(out, 2, true);
    case DType::kInt32:
    case DType::kQInt32: return put_integer(out, 4, true);
    case DType::kInt64: return put_integer(out, 8, true);
    case DType::kUInt16: return put_integer(out, 2, false);
    case DType::kUInt32: return put_integer(out, 4, false);
    case DType::kUInt64: return put_integer(out, 8, false);
    case DType::kFloat16: return put_float(out, kHalf);
    case DType::kBFloat16: return put_float(out, kBrain);
    case DType::kFloat32: return put_float(out, kSingle);
    case DType::kFloat64: return put_float(out, kDouble);
    case DType::kComplex32: return put_complex(out, kHalf);
    case DType::kComplex64: return put_complex(out, kSingle);
    case DType::kComplex128: return put_complex(out, kDouble);
    case DType::kFloat8E5M2: return put_float(out, kE5M2);
    // Bits as they are. HDF5's model of a float reserves the largest exponent for infinity,
    // which the other 8-bit floats use for numbers: as floats they would be misread.
    default: return put_integer(out, item_size(dtype), false);
  }
}

}  // namespace

void put_datatype(ByteWriter& out, const std::variant<DType, TableType>& type) {
  if (const DType* dtype = std::get_if<DType>(&type)) return put_tensor_type(out, *dtype);
  switch (std::get<TableType>(type)) {
    case TableType::kBytes: return put_integer(out, 1, false);
    case TableType::kUInt64: return put_integer(out, 8, false);
    case TableType::kDigest: return put_digest_type(out);
    case TableType::kTensorRecord: return put_record_type(out);
  }
}

void put_text_type(ByteWriter& out, std::size_t size_bytes) {
  put_head(out, kString, 1, 1 | 1 << 4, size_bytes);  // null-padded UTF-8
}

bool needs_dtype_attribute(DType dtype) {
  return dtype == DType::kBool || dtype == DType::kBFloat16 || dtype == DType::kComplex32 ||
         dtype >= DType::kFloat8E4M3FN;
}

}  // namespace reprise::container
