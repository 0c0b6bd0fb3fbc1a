#include "ckpt/state/dtype.h"

#include <array>

namespace reprise {

namespace {

struct Row {
  DType dtype;
  std::size_t item_size;
  std::string_view name;
  std::string_view safetensors;  // empty: the format has no such type
};

constexpr std::array<Row, kDTypeCount> kRows = {{
    {DType::kBool, 1, "bool", "BOOL"},
    {DType::kUInt8, 1, "uint8", "U8"},
    {DType::kInt8, 1, "int8", "I8"},
    {DType::kUInt16, 2, "uint16", "U16"},
    {DType::kInt16, 2, "int16", "I16"},
    {DType::kUInt32, 4, "uint32", "U32"},
    {DType::kInt32, 4, "int32", "I32"},
    {DType::kUInt64, 8, "uint64", "U64"},
    {DType::kInt64, 8, "int64", "I64"},
    {DType::kFloat16, 2, "float16", "F16"},
    {DType::kBFloat16, 2, "bfloat16", "BF16"},
    {DType::kFloat32, 4, "float32", "F32"},
    {DType::kFloat64, 8, "float64", "F64"},
    {DType::kComplex32, 4, "complex32", ""},
    {DType::kComplex64, 8, "complex64", "C64"},
    {DType::kComplex128, 16, "complex128", ""},
    {DType::kFloat8E4M3FN, 1, "float8_e4m3fn", "F8_E4M3"},
    {DType::kFloat8E5M2, 1, "float8_e5m2", "F8_E5M2"},
    {DType::kFloat8E4M3FNUZ, 1, "float8_e4m3fnuz", "F8_E4M3FNUZ"},
    {DType::kFloat8E5M2FNUZ, 1, "float8_e5m2fnuz", "F8_E5M2FNUZ"},
    {DType::kFloat8E8M0FNU, 1, "float8_e8m0fnu", "F8_E8M0"},
    {DType::kFloat4E2M1FNx2, 1, "float4_e2m1fn_x2", ""},
    {DType::kBits1x8, 1, "bits1x8", ""},
    {DType::kBits2x4, 1, "bits2x4", ""},
    {DType::kBits4x2, 1, "bits4x2", ""},
    {DType::kBits8, 1, "bits8", ""},
    {DType::kBits16, 2, "bits16", ""},
    {DType::kQInt8, 1, "qint8", ""},
    {DType::kQUInt8, 1, "quint8", ""},
    {DType::kQInt32, 4, "qint32", ""},
    {DType::kQUInt4x2, 1, "quint4x2", ""},
    {DType::kQUInt2x4, 1, "quint2x4", ""},
}};

constexpr bool rows_follow_the_enum() {
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    if (static_cast<std::size_t>(kRows[i].dtype) != i) return false;
  }
  return true;
}
static_assert(rows_follow_the_enum());

const Row& row(DType dtype) { return kRows[static_cast<std::size_t>(dtype)]; }

}  // namespace

std::size_t item_size(DType dtype) { return row(dtype).item_size; }
std::string_view name(DType dtype) { return row(dtype).name; }

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const Row& r : kRows) {
    if (r.name == name) return r.dtype;
  }
  return std::nullopt;
}

std::optional<std::string_view> safetensors_name(DType dtype) {
  const std::string_view name = row(dtype).safetensors;
  return name.empty() ? std::nullopt : std::optional(name);
}

std::optional<DType> dtype_from_safetensors_name(std::string_view name) {
  if (name.empty()) return std::nullopt;
  for (const Row& r : kRows) {
    if (r.safetensors == name) return r.dtype;
  }
  return std::nullopt;
}

bool is_floating(DType dtype) {
  return (dtype >= DType::kFloat16 && dtype <= DType::kFloat64) ||
         (dtype >= DType::kFloat8E4M3FN && dtype <= DType::kFloat4E2M1FNx2);
}

bool is_complex(DType dtype) { return dtype >= DType::kComplex32 && dtype <= DType::kComplex128; }

bool is_quantized(DType dtype) { return dtype >= DType::kQInt8; }

}  // namespace reprise
