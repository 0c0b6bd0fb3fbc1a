#include "engine/torch_bridge/device_storage.h"

#include <ATen/ATen.h>

namespace reprise::engine {

DeviceStorage::DeviceStorage(const at::Tensor& tensor) : bytes_(tensor.view(-1).view(at::kByte)) {}

std::uint64_t DeviceStorage::size_bytes() const {
  return static_cast<std::uint64_t>(bytes_.numel());
}

void DeviceStorage::read(std::uint64_t offset, MutableBytes out) const {
  if (out.empty()) return;
  const auto count = static_cast<std::int64_t>(out.size());
  const at::Tensor target = at::from_blob(out.data(), {count}, at::TensorOptions(at::kByte));
  target.copy_(bytes_.narrow(0, static_cast<std::int64_t>(offset), count));
}

const void* DeviceStorage::identity() const { return bytes_.const_data_ptr(); }

}  // namespace reprise::engine
