#include "engine/device/side_stream.h"

#include <c10/core/impl/VirtualGuardImpl.h>

namespace reprise::engine {

SideStream::SideStream(c10::Device device) {
  if (device.is_cpu()) return;
  const c10::impl::VirtualGuardImpl streams(device.type());
  compute_ = streams.getStream(device);
  // Its work is small and others wait for it: where both could go on, it goes first.
  side_ = streams.getStreamFromGlobalPool(device, /*isHighPriority=*/true);
  computed_.emplace(device.type());
  done_.emplace(device.type());
}

SideStream::Scope::Scope(const SideStream& side) {
  if (side.side_) guard_.emplace(*side.side_);
}

void SideStream::after_compute() {
  if (!side_) return;
  computed_->record(*compute_);
  computed_->block(*side_);
}

void SideStream::before_compute() {
  if (!side_) return;
  done_->record(*side_);
  done_->block(*compute_);
}

}  // namespace reprise::engine
