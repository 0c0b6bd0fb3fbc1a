#include "tests/engine/watched_device/access.h"

#include "tests/engine/watched_device/device_memory.h"
#include "tests/engine/watched_device/failures.h"
#include "tests/engine/watched_device/stream_watch.h"
#include "tests/engine/watched_device/streams.h"

#include <ATen/ATen.h>

namespace reprise::engine {

bool is_ours(const at::Tensor& tensor) {
  return tensor.defined() && tensor.device().type() == kWatchedType;
}

std::size_t extent_bytes(const at::Tensor& tensor) {
  if (tensor.numel() == 0) return 0;
  std::int64_t last = 0;
  for (std::int64_t d = 0; d < tensor.dim(); ++d) last += (tensor.size(d) - 1) * tensor.stride(d);
  return static_cast<std::size_t>(last + 1) * tensor.itemsize();
}

void note_on(c10::Stream stream, const at::Tensor& tensor, bool write, const std::string& what) {
  if (stream.id() != 0) fail_if_told(Failing::kSideStreams);
  const void* address = tensor.unsafeGetTensorImpl()->data();
  watch().access(stream, tensor.storage().data(), static_cast<const std::byte*>(address),
                 extent_bytes(tensor), write, what);
}

void note(const at::Tensor& tensor, bool write, const std::string& what) {
  note_on(stream_of(tensor.device()), tensor, write, what);
}

at::Tensor opened(const at::Tensor& tensor) {
  const auto options = tensor.options().device(c10::kCPU);
  if (tensor.numel() == 0) return at::empty_strided(tensor.sizes(), tensor.strides(), options);
  const void* address = tensor.unsafeGetTensorImpl()->data();
  return at::from_blob(opened(address), tensor.sizes(), tensor.strides(), options);
}

}  // namespace reprise::engine
