#include "tests/engine/watched_device/streams.h"

#include "tests/engine/watched_device/stream_watch.h"
#include "tests/engine/watched_device/watched_device.h"

#include <array>
#include <atomic>
#include <utility>

namespace reprise::engine {
namespace {

thread_local c10::DeviceIndex current_device = 0;
thread_local std::array<c10::StreamId, kWatchedDevices> current_streams{};
std::atomic<c10::StreamId> last_stream{0};

class Guard final : public c10::impl::DeviceGuardImplInterface {
 public:
  c10::DeviceType type() const override { return kWatchedType; }
  c10::Device exchangeDevice(c10::Device device) const override {
    return {kWatchedType, std::exchange(current_device, device.index())};
  }
  c10::Device getDevice() const override { return {kWatchedType, current_device}; }
  void setDevice(c10::Device device) const override { current_device = device.index(); }
  void uncheckedSetDevice(c10::Device device) const noexcept override {
    current_device = device.index();
  }
  c10::DeviceIndex deviceCount() const noexcept override { return kWatchedDevices; }

  c10::Stream getStream(c10::Device device) const override {
    const c10::DeviceIndex index = device.has_index() ? device.index() : current_device;
    return make(index, current_streams[static_cast<std::size_t>(index)]);
  }
  c10::Stream getDefaultStream(c10::Device device) const override {
    return make(device.index(), 0);
  }
  c10::Stream getStreamFromGlobalPool(c10::Device device, bool /*high*/) const override {
    return make(device.index(), ++last_stream);
  }
  c10::Stream getNewStream(c10::Device device, int /*priority*/) const override {
    return make(device.index(), ++last_stream);
  }
  c10::Stream exchangeStream(c10::Stream stream) const override {
    c10::StreamId& current = current_streams[static_cast<std::size_t>(stream.device_index())];
    return make(stream.device_index(), std::exchange(current, stream.id()));
  }
  bool queryStream(const c10::Stream& /*stream*/) const override { return true; }
  void synchronizeStream(const c10::Stream& stream) const override {
    watch().host_waits(stream, "the end of a stream");
  }

  void record(void** event, const c10::Stream& stream, c10::DeviceIndex /*device*/,
              c10::EventFlag /*flag*/) const override {
    if (*event == nullptr) *event = new Clock;
    *static_cast<Clock*>(*event) = watch().record(stream);
  }
  void block(void* event, const c10::Stream& stream) const override {
    if (event != nullptr) watch().follow(stream, *static_cast<const Clock*>(event));
  }
  bool queryEvent(void* /*event*/) const override { return true; }
  void synchronizeEvent(void* event) const override {
    if (event != nullptr) watch().host_waits(*static_cast<const Clock*>(event), "an event");
  }
  void destroyEvent(void* event, c10::DeviceIndex /*device*/) const noexcept override {
    delete static_cast<Clock*>(event);
  }

 private:
  static c10::Stream make(c10::DeviceIndex index, c10::StreamId id) {
    return c10::Stream(c10::Stream::UNSAFE, c10::Device(kWatchedType, index), id);
  }
};

}  // namespace

const c10::impl::DeviceGuardImplInterface& watched_guard() {
  static const auto* const kGuard = new Guard;
  return *kGuard;
}

c10::Stream stream_of(c10::Device device) { return watched_guard().getStream(device); }

}  // namespace reprise::engine
