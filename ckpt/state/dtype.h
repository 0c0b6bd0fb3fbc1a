// Element types of tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace reprise {

// Every element type that PyTorch can save. The values are ours and stay in
// memory; files hold names.
enum class DType : std::uint8_t {
  kBool,
  kUInt8,
  kInt8,
  kUInt16,
  kInt16,
  kUInt32,
  kInt32,
  kUInt64,
  kInt64,
  kFloat16,
  kBFloat16,
  kFloat32,
  kFloat64,
  kComplex32,
  kComplex64,
  kComplex128,
  kFloat8E4M3FN,
  kFloat8E5M2,
  kFloat8E4M3FNUZ,
  kFloat8E5M2FNUZ,
  kFloat8E8M0FNU,
  kFloat4E2M1FNx2,  // two 4-bit values a byte; shapes count bytes
  kBits1x8,         // uninterpreted bits, as old quantization tools kept them
  kBits2x4,
  kBits4x2,
  kBits8,
  kBits16,
  kQInt8,
  kQUInt8,
  kQInt32,
  kQUInt4x2,
  kQUInt2x4,
};
inline constexpr std::size_t kDTypeCount = 32;

// Bytes of one element.
std::size_t item_size(DType dtype);

// PyTorch's name without the "torch." in front: "float32", "bfloat16", "qint8".
std::string_view name(DType dtype);
std::optional<DType> dtype_from_name(std::string_view name);

// The name that safetensors uses ("F32", "BF16", "F8_E4M3"); nothing when the format has none.
std::optional<std::string_view> safetensors_name(DType dtype);
std::optional<DType> dtype_from_safetensors_name(std::string_view name);

bool is_floating(DType dtype);  // real floating point, any width
bool is_complex(DType dtype);
bool is_quantized(DType dtype);

}  // namespace reprise
