#include "tests/engine/watched_device/watched_device.h"

#include "tests/engine/watched_device/device_memory.h"
#include "tests/engine/watched_device/pinned_allocator.h"
#include "tests/engine/watched_device/stream_watch.h"
#include "tests/engine/watched_device/streams.h"

#include <ATen/ATen.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

namespace reprise::engine {
namespace {

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex /*device*/) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return kWatchedDevices; }
  bool isPinnedPtr(const void* data) const override { return is_pinned(data); }
  c10::Allocator* getPinnedMemoryAllocator() const override { return &pinned_allocator(); }
  at::Device getDeviceFromPtr(void* /*data*/) const override { return watched_device(); }
};

const bool kRegistered = [] {
  static const c10::impl::DeviceGuardImplRegistrar kRegistrar(kWatchedType, &watched_guard());
  c10::SetAllocator(kWatchedType, &device_allocator());
  c10::register_privateuse1_backend("watched");
  at::RegisterPrivateUse1HooksInterface(new Hooks);
  return true;
}();

}  // namespace

c10::Device watched_device(c10::DeviceIndex index) { return {kWatchedType, index}; }

std::vector<std::string> take_findings() { return watch().take_findings(); }

std::map<std::string, std::uint64_t> take_host_waits() { return watch().take_host_waits(); }

}  // namespace reprise::engine
