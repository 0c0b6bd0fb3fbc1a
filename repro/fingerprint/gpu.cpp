#include "repro/fingerprint/gpu.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <array>
#include <memory>
#include <optional>

namespace reprise::fingerprint {
namespace {

// The few types and numbers of nvml.h (API version 12) that are used here. They are part of NVML's
// stable binary interface.
using Device = struct DeviceRecord*;
constexpr int kSuccess = 0;
constexpr unsigned kClockSm = 1;
constexpr unsigned kClockMemory = 2;
struct Memory {
  unsigned long long total, free, used;
};
struct Pci {
  char legacy_bus_id[16];
  unsigned domain, bus, device, device_id, subsystem_id;
  char bus_id[32];
};

class Nvml {
 public:
  Nvml() : library_(dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL)) {
    open_ = library_ != nullptr && call("nvmlInit_v2");
  }
  // Not unloaded: NVML keeps threads and handlers that a later dlclose would pull the code from.
  ~Nvml() {
    if (open_) call("nvmlShutdown");
  }
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  explicit operator bool() const { return open_; }

  // Whether `name` exists in this driver and returned success.
  template <typename... Args>
  bool call(const char* name, Args... args) const {
    auto* function = reinterpret_cast<int (*)(Args...)>(dlsym(library_, name));
    return function != nullptr && function(args...) == kSuccess;
  }

  std::optional<std::string> text(const char* name) const {
    std::array<char, 96> buffer{};
    if (!call(name, buffer.data(), static_cast<unsigned>(buffer.size()))) return std::nullopt;
    return buffer.data();
  }
  std::optional<std::string> text(const char* name, Device device) const {
    std::array<char, 96> buffer{};
    if (!call(name, device, buffer.data(), static_cast<unsigned>(buffer.size()))) {
      return std::nullopt;
    }
    return buffer.data();
  }

 private:
  void* library_;
  bool open_ = false;
};

Json describe(const Nvml& nvml, unsigned index, Device device) {
  Json gpu = {{"index", index}};
  if (const auto name = nvml.text("nvmlDeviceGetName", device)) gpu["name"] = *name;
  if (const auto uuid = nvml.text("nvmlDeviceGetUUID", device)) gpu["uuid"] = *uuid;
  if (Memory memory{}; nvml.call("nvmlDeviceGetMemoryInfo", device, &memory)) {
    gpu["memory_bytes"] = memory.total;
  }
  if (Pci pci{}; nvml.call("nvmlDeviceGetPciInfo_v3", device, &pci)) {
    pci.bus_id[sizeof pci.bus_id - 1] = '\0';
    gpu["pci"] = pci.bus_id;
  }
  int major = 0;
  int minor = 0;
  if (nvml.call("nvmlDeviceGetCudaComputeCapability", device, &major, &minor)) {
    gpu["compute_capability"] = fmt::format("{}.{}", major, minor);
  }
  unsigned current = 0;
  unsigned pending = 0;
  if (nvml.call("nvmlDeviceGetEccMode", device, &current, &pending)) gpu["ecc"] = current == 1;
  if (nvml.call("nvmlDeviceGetMigMode", device, &current, &pending)) gpu["mig"] = current == 1;
  unsigned value = 0;
  for (const auto& [key, function, clock] :
       {std::tuple{"clock_sm_mhz", "nvmlDeviceGetClockInfo", kClockSm},
        std::tuple{"clock_memory_mhz", "nvmlDeviceGetClockInfo", kClockMemory},
        std::tuple{"clock_sm_max_mhz", "nvmlDeviceGetMaxClockInfo", kClockSm}}) {
    if (nvml.call(function, device, clock, &value)) gpu[key] = value;
  }
  if (nvml.call("nvmlDeviceGetEnforcedPowerLimit", device, &value)) {
    gpu["power_limit_w"] = value / 1000;
  }
  return gpu;
}

}  // namespace

Json describe_gpus() {
  Json out = Json::object();
  const Nvml nvml;
  if (!nvml) return out;
  if (const auto driver = nvml.text("nvmlSystemGetDriverVersion")) out["driver"] = *driver;
  if (int version = 0; nvml.call("nvmlSystemGetCudaDriverVersion_v2", &version)) {
    out["cuda_driver"] = fmt::format("{}.{}", version / 1000, version % 1000 / 10);
  }
  unsigned count = 0;
  nvml.call("nvmlDeviceGetCount_v2", &count);
  Json gpus = Json::array();
  for (unsigned index = 0; index < count; ++index) {
    Device device = nullptr;
    if (nvml.call("nvmlDeviceGetHandleByIndex_v2", index, &device)) {
      gpus.push_back(describe(nvml, index, device));
    }
  }
  out["gpus"] = std::move(gpus);
  return out;
}

}  // namespace reprise::fingerprint
