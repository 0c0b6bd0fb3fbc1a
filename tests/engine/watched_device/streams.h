// The watched device's streams and events, which have no order but the one they are given.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/Stream.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

namespace reprise::engine {

inline constexpr c10::DeviceType kWatchedType = c10::DeviceType::PrivateUse1;

// What LibTorch asks for devices, streams and events; lives as long as the process.
const c10::impl::DeviceGuardImplInterface& watched_guard();

// The one that the calling thread computes on.
c10::Stream stream_of(c10::Device device);

}  // namespace reprise::engine
