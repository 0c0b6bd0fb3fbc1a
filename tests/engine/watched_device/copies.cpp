#include "tests/engine/watched_device/copies.h"

#include "tests/engine/watched_device/access.h"
#include "tests/engine/watched_device/stream_watch.h"
#include "tests/engine/watched_device/streams.h"
#include "tests/engine/watched_device/watched_device.h"

#include <ATen/ATen.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace reprise::engine {
namespace {

std::atomic<std::uint64_t> bytes_to_host{0};
std::atomic<std::uint64_t> bytes_from_pinned{0};

}  // namespace

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  const c10::Device device = is_ours(to) ? to.device() : from.device();
  const c10::Stream stream = stream_of(device);
  if (is_ours(from)) note_on(stream, from, false, "copy_");
  if (is_ours(to)) note_on(stream, to, true, "copy_");
  const at::Tensor source = is_ours(from) ? opened(from) : from;
  const at::Tensor target = is_ours(to) ? opened(to) : to;
  target.copy_(source);
  if (!is_ours(to)) {
    bytes_to_host += from.nbytes();
    watch().host_waits(stream, "a copy to the host");
  } else if (!is_ours(from)) {
    // From other memory a device copies by way of its own, before it returns.
    if (non_blocking && is_pinned(from.const_data_ptr())) {
      bytes_from_pinned += from.nbytes();
      watch().copy_later(stream, static_cast<const std::byte*>(from.const_data_ptr()),
                         extent_bytes(from));
    } else {
      watch().host_waits(stream, "a copy from memory that is not pinned");
    }
  }
  return to;
}

std::uint64_t take_bytes_to_host() { return bytes_to_host.exchange(0); }

std::uint64_t take_bytes_from_pinned() { return bytes_from_pinned.exchange(0); }

}  // namespace reprise::engine
