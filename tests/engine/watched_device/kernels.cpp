// The watched device's operators: the CPU's kernels, on its memory.
#include "tests/engine/watched_device/access.h"
#include "tests/engine/watched_device/copies.h"
#include "tests/engine/watched_device/device_memory.h"
#include "tests/engine/watched_device/stream_watch.h"
#include "tests/engine/watched_device/streams.h"

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/view_native.h>
#include <torch/library.h>

#include <array>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace reprise::engine {
namespace {

c10::Device device_or_current(std::optional<at::Device> device) {
  return device && device->has_index() ? *device : watched_guard().getDevice();
}

at::Tensor empty_strided(at::IntArrayRef sizes, at::IntArrayRef strides,
                         std::optional<at::ScalarType> type, std::optional<at::Layout> /*layout*/,
                         std::optional<at::Device> device, std::optional<bool> /*pinned*/) {
  const c10::DeviceGuard here(device_or_current(device));
  return at::detail::empty_strided_generic(sizes, strides, &device_allocator(),
                                           c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                           type.value_or(at::kFloat));
}

at::Tensor empty(at::IntArrayRef sizes, std::optional<at::ScalarType> type,
                 std::optional<at::Layout> /*layout*/, std::optional<at::Device> device,
                 std::optional<bool> /*pinned*/, std::optional<at::MemoryFormat> format) {
  const c10::DeviceGuard here(device_or_current(device));
  return at::detail::empty_generic(sizes, &device_allocator(),
                                   c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                   type.value_or(at::kFloat), format);
}

// What comes out of the CPU's kernel, on the device.
at::Tensor brought(const at::Tensor& made, c10::Device device, const std::string& what) {
  if (!made.defined() || !made.is_cpu()) return made;
  const at::Tensor there = empty_strided(made.sizes(), made.strides(), made.scalar_type(),
                                         std::nullopt, device, std::nullopt);
  note(there, true, what);
  opened(there).copy_(made);
  return there;
}

// Any operator: the CPU's kernel, on the memory of the device.
void run_on_cpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const c10::FunctionSchema& schema = op.schema();
  const std::string& what = schema.name();
  const std::size_t first = stack->size() - schema.arguments().size();
  std::vector<at::Tensor> originals(schema.arguments().size());
  std::optional<c10::Device> device;
  const auto open = [&](const at::Tensor& tensor, bool write) {
    if (!is_ours(tensor)) return tensor;
    device = tensor.device();
    note(tensor, write, what);
    return opened(tensor);
  };
  for (std::size_t i = 0; i < originals.size(); ++i) {
    c10::IValue& value = (*stack)[first + i];
    const c10::AliasInfo* alias = schema.arguments()[i].alias_info();
    const bool write = alias != nullptr && alias->isWrite();
    if (value.isTensor()) {
      originals[i] = value.toTensor();
      value = open(originals[i], write);
    } else if (value.isTensorList()) {
      std::vector<at::Tensor> list = value.toTensorVector();
      for (at::Tensor& tensor : list) tensor = open(tensor, write);
      value = c10::List<at::Tensor>(list);
    } else if (value.isOptionalTensorList()) {
      c10::List<std::optional<at::Tensor>> list;
      for (const std::optional<at::Tensor>& tensor : value.toOptionalTensorVector()) {
        list.push_back(tensor ? std::optional(open(*tensor, write)) : std::nullopt);
      }
      value = list;
    } else if (value.isDevice()) {
      device = device_or_current(value.toDevice());
      value = c10::Device(c10::kCPU);
    }
  }
  op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
  const c10::Device there = device_or_current(device);
  const std::size_t begin = stack->size() - schema.returns().size();
  for (std::size_t i = 0; i < schema.returns().size(); ++i) {
    c10::IValue& value = (*stack)[begin + i];
    const c10::AliasInfo* alias = schema.returns()[i].alias_info();
    if (value.isTensor() && alias != nullptr && alias->isWrite()) {
      for (std::size_t k = 0; k < originals.size(); ++k) {
        const c10::AliasInfo* given = schema.arguments()[k].alias_info();
        if (given != nullptr && *given == *alias) value = originals[k];
      }
    } else if (value.isTensor()) {
      value = brought(value.toTensor(), there, what);
    } else if (value.isTensorList()) {
      std::vector<at::Tensor> list = value.toTensorVector();
      for (at::Tensor& tensor : list) tensor = brought(tensor, there, what);
      value = c10::List<at::Tensor>(list);
    } else {
      watch().host_waits(stream_of(there), what);  // a number, for the host
    }
  }
}

at::Tensor convolve(const at::Tensor& input, const at::Tensor& weight,
                    const std::optional<at::Tensor>& bias, at::IntArrayRef stride,
                    at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
                    at::IntArrayRef output_padding, std::int64_t groups) {
  note(input, false, "convolution");
  note(weight, false, "convolution");
  std::optional<at::Tensor> offset;
  if (bias && bias->defined()) {
    note(*bias, false, "convolution");
    offset = opened(*bias);
  }
  const at::Tensor made = at::convolution(opened(input), opened(weight), offset, stride, padding,
                                          dilation, transposed, output_padding, groups);
  return brought(made, input.device(), "convolution");
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> convolve_backward(
    const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
    at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
    at::IntArrayRef output_padding, std::int64_t groups, std::array<bool, 3> wanted) {
  constexpr const char* kWhat = "convolution_backward";
  for (const at::Tensor* each : {&gradient, &input, &weight}) note(*each, false, kWhat);
  const auto [to_input, to_weight, to_bias] = at::convolution_backward(
      opened(gradient), opened(input), opened(weight), at::IntArrayRef{weight.size(0)}, stride,
      padding, dilation, transposed, output_padding, groups, wanted);
  const c10::Device device = input.device();
  return {brought(to_input, device, kWhat), brought(to_weight, device, kWhat),
          brought(to_bias, device, kWhat)};
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&run_on_cpu>());
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) {
  library.impl("empty.memory_format", &empty);
  library.impl("empty_strided", &empty_strided);
  library.impl("_copy_from", &copy_from);
  library.impl("as_strided", [](const at::Tensor& self, at::IntArrayRef sizes,
                                at::IntArrayRef strides, std::optional<std::int64_t> offset) {
    return at::native::as_strided_tensorimpl(self, sizes, strides, offset);
  });
  library.impl("view", [](const at::Tensor& self, at::IntArrayRef sizes) {
    return at::native::view(self, sizes);
  });
  library.impl("_reshape_alias",
               [](const at::Tensor& self, at::IntArrayRef sizes, at::IntArrayRef strides) {
                 return at::native::_reshape_alias(self, sizes, strides);
               });
  library.impl("convolution_overrideable", &convolve);
  library.impl("convolution_backward_overrideable", &convolve_backward);
}

}  // namespace
}  // namespace reprise::engine
