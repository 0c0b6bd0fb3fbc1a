#include "engine/torch_bridge/tensor.h"

#include "ckpt/base/error.h"
#include "engine/torch_bridge/device_storage.h"

#include <fmt/ranges.h>

#include <ATen/ATen.h>

#include <array>
#include <utility>

namespace reprise::engine {
namespace {

constexpr std::array<std::pair<DType, at::ScalarType>, 21> kTypes{{
    {DType::kBool, at::kBool},
    {DType::kUInt8, at::kByte},
    {DType::kInt8, at::kChar},
    {DType::kUInt16, at::kUInt16},
    {DType::kInt16, at::kShort},
    {DType::kUInt32, at::kUInt32},
    {DType::kInt32, at::kInt},
    {DType::kUInt64, at::kUInt64},
    {DType::kInt64, at::kLong},
    {DType::kFloat16, at::kHalf},
    {DType::kBFloat16, at::kBFloat16},
    {DType::kFloat32, at::kFloat},
    {DType::kFloat64, at::kDouble},
    {DType::kComplex32, at::kComplexHalf},
    {DType::kComplex64, at::kComplexFloat},
    {DType::kComplex128, at::kComplexDouble},
    {DType::kFloat8E4M3FN, at::kFloat8_e4m3fn},
    {DType::kFloat8E5M2, at::kFloat8_e5m2},
    {DType::kFloat8E4M3FNUZ, at::kFloat8_e4m3fnuz},
    {DType::kFloat8E5M2FNUZ, at::kFloat8_e5m2fnuz},
    {DType::kFloat8E8M0FNU, at::kFloat8_e8m0fnu},
}};

Tensor view_of_device(const at::Tensor& tensor) {
  const at::Tensor values = tensor.resolve_conj().resolve_neg().contiguous();
  return Tensor::contiguous(from_torch(values.scalar_type()), values.sizes().vec(),
                            std::make_shared<DeviceStorage>(values));
}

}  // namespace

at::ScalarType to_torch(DType dtype) {
  for (const auto& [ours, theirs] : kTypes) {
    if (ours == dtype) return theirs;
  }
  fail(Code::kUnsupported,
       "tensors of type {} cannot be computed with; convert them to float32 first", name(dtype));
}

DType from_torch(at::ScalarType type) {
  for (const auto& [ours, theirs] : kTypes) {
    if (theirs == type) return ours;
  }
  fail(Code::kUnsupported, "LibTorch's element type {} has no place in a checkpoint",
       c10::toString(type));
}

Tensor view_of(const at::Tensor& tensor) {
  if (tensor.layout() != at::kStrided || tensor.is_quantized() || tensor.is_meta()) {
    fail(Code::kUnsupported, "a {} tensor cannot be stored in a checkpoint", tensor.toString());
  }
  if (!tensor.is_cpu()) return view_of_device(tensor.detach());
  const DType dtype = from_torch(tensor.scalar_type());
  // The span starts at the first element of this tensor, not of its storage: a parameter in a
  // flat buffer must not drag the whole buffer along.
  std::int64_t last = 0;
  for (std::int64_t d = 0; d < tensor.dim(); ++d) {
    if (tensor.size(d) > 0) last += (tensor.size(d) - 1) * tensor.stride(d);
  }
  const std::size_t size =
      tensor.numel() == 0 ? 0 : static_cast<std::size_t>(last + 1) * item_size(dtype);
  const auto owner = std::make_shared<at::Tensor>(tensor.detach());
  auto storage =
      borrowed_storage(Bytes(static_cast<const std::byte*>(owner->const_data_ptr()), size), owner);
  return Tensor::make(dtype, tensor.sizes().vec(), tensor.strides().vec(), 0, std::move(storage))
      .with_lazy_bits(tensor.is_conj(), tensor.is_neg());
}

at::Tensor copy_of(const Tensor& tensor) {
  at::Tensor copy = at::empty(tensor.shape(), at::TensorOptions(to_torch(tensor.dtype())));
  tensor.read(MutableBytes(static_cast<std::byte*>(copy.mutable_data_ptr()),
                           static_cast<std::size_t>(tensor.size_bytes())));
  return copy;
}

void copy_into(const Tensor& source, at::Tensor target) {
  const at::IntArrayRef shape(source.shape());
  if (target.sizes() != shape) {
    fail(Code::kMismatch, "shape is [{}], expected [{}]", fmt::join(source.shape(), ", "),
         fmt::join(target.sizes(), ", "));
  }
  const at::NoGradGuard no_gradients;
  at::Tensor destination = target.detach();
  if (destination.is_cpu() && destination.is_contiguous() &&
      destination.scalar_type() == to_torch(source.dtype())) {
    source.read(MutableBytes(static_cast<std::byte*>(destination.mutable_data_ptr()),
                             static_cast<std::size_t>(source.size_bytes())));
    return;
  }
  destination.copy_(copy_of(source));
}

}  // namespace reprise::engine
