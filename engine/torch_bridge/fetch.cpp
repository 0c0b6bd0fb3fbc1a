#include "engine/torch_bridge/fetch.h"

#include "engine/torch_bridge/device_storage.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

namespace reprise::engine {
namespace {

// What is put together on the device before it is copied: its own copy costs less than a wait.
constexpr std::int64_t kSmallBytes = 64 << 10;
// Of a number of any type on the host.
constexpr std::int64_t kAlignment = 16;

// Tensors that lie in one buffer of the device, and the stretch of it that they take.
struct Neighbours {
  std::vector<std::pair<std::size_t, at::Tensor>> members;  // place in the result, bytes
  std::int64_t first = INT64_MAX;
  std::int64_t last = 0;
  std::int64_t wanted = 0;

  void add(std::size_t place, const at::Tensor& bytes) {
    first = std::min(first, bytes.storage_offset());
    last = std::max(last, bytes.storage_offset() + bytes.numel());
    wanted += bytes.numel();
    members.emplace_back(place, bytes);
  }
};

class Fetch {
 public:
  explicit Fetch(std::vector<Tensor>& tensors) : tensors_(tensors) {}

  // `there`: bytes of the device.
  void stretch(const Neighbours& near) {
    const at::Tensor& any = near.members.front().second;
    const at::Tensor there = any.as_strided({near.last - near.first}, {1}, near.first);
    const at::Tensor here = there.cpu();
    for (const auto& [place, bytes] : near.members) {
      put(place, here, bytes.storage_offset() - near.first, bytes.numel());
    }
  }

  void put_together(const std::vector<std::pair<std::size_t, at::Tensor>>& parts) {
    if (parts.empty()) return;
    std::vector<at::Tensor> pieces;
    for (const auto& [place, bytes] : parts) {
      pieces.push_back(bytes);
      const std::int64_t gap = -bytes.numel() & (kAlignment - 1);
      if (gap > 0) pieces.push_back(at::empty({gap}, bytes.options()));
    }
    const at::Tensor here = at::cat(pieces).cpu();
    std::int64_t offset = 0;
    for (const auto& [place, bytes] : parts) {
      put(place, here, offset, bytes.numel());
      offset += (bytes.numel() + kAlignment - 1) / kAlignment * kAlignment;
    }
  }

 private:
  void put(std::size_t place, const at::Tensor& here, std::int64_t offset, std::int64_t size) {
    const auto owner = std::make_shared<at::Tensor>(here);
    const auto* data = static_cast<const std::byte*>(here.const_data_ptr()) + offset;
    tensors_[place] =
        Tensor::contiguous(tensors_[place].dtype(), tensors_[place].shape(),
                           borrowed_storage(Bytes(data, static_cast<std::size_t>(size)), owner));
  }

  std::vector<Tensor>& tensors_;
};

}  // namespace

std::vector<Tensor> fetched(std::vector<Tensor> tensors) {
  std::map<const void*, Neighbours> buffers;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto* storage = dynamic_cast<const DeviceStorage*>(tensors[i].storage().get());
    if (storage == nullptr || tensors[i].size_bytes() == 0) continue;
    const at::Tensor& bytes = storage->bytes();
    buffers[bytes.storage().unsafeGetStorageImpl()].add(i, bytes);
  }
  Fetch fetch(tensors);
  std::vector<std::pair<std::size_t, at::Tensor>> small;
  for (const auto& [buffer, near] : buffers) {
    if (near.last - near.first <= kSmallBytes) {
      small.insert(small.end(), near.members.begin(), near.members.end());
    } else if (near.wanted >= (near.last - near.first) / 2) {
      fetch.stretch(near);
    } else {
      for (const auto& [place, bytes] : near.members) {
        Neighbours alone;
        alone.add(place, bytes);
        fetch.stretch(alone);
      }
    }
  }
  fetch.put_together(small);
  return tensors;
}

}  // namespace reprise::engine
