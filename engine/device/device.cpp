#include "engine/device/device.h"

#include "ckpt/base/error.h"

#include <ATen/Context.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <dlfcn.h>
#include <sys/resource.h>

#include <charconv>
#include <filesystem>
#include <fstream>

namespace reprise::engine {
namespace {

bool driver_present() { return std::filesystem::exists("/dev/nvidiactl"); }

// Programs link LibTorch's CPU part alone, which starts in half the time; the CUDA part registers
// itself when it is loaded.
bool cuda_loaded() {
  static const bool kLoaded = ::dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) != nullptr;
  return kLoaded;
}

int gpu_count() {
  if (!driver_present() || !cuda_loaded()) return 0;
  if (!at::globalContext().hasCUDA()) return 0;
  return static_cast<int>(at::detail::getCUDAHooks().deviceCount());
}

[[noreturn]] void fail_no_gpu(std::string_view spec, int found) {
  if (found == 0 && !driver_present()) {
    fail(Code::kNotFound,
         "--device {}: this machine has no NVIDIA driver (/dev/nvidiactl); use --device cpu", spec);
  }
  if (found == 0 && !cuda_loaded()) {
    fail(Code::kNotFound,
         "--device {}: this LibTorch is built without CUDA; use --device cpu or a LibTorch with "
         "CUDA",
         spec);
  }
  if (found == 0) fail(Code::kNotFound, "--device {}: no GPU found; use --device cpu", spec);
  fail(Code::kNotFound, "--device {}: {} GPUs found; use --device cpu or a number below {}", spec,
       found, found);
}

std::string cpu_model() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "CPU";
}

}  // namespace

c10::Device choose_device(std::string_view spec, int local_rank) {
  if (spec == "cpu") return c10::kCPU;
  if (spec == "auto" && gpu_count() == 0) return c10::kCPU;
  const std::string_view name = spec == "auto" ? "cuda" : spec.substr(0, spec.find(':'));
  int index = local_rank;
  bool numbered = true;
  if (name.size() < spec.size() && spec != "auto") {
    const std::string_view number = spec.substr(name.size() + 1);
    const auto end = number.data() + number.size();
    const auto parsed = std::from_chars(number.data(), end, index);
    numbered = parsed.ec == std::errc() && parsed.ptr == end && index >= 0;
  }
  const bool plugged_in =
      c10::is_privateuse1_backend_registered() && name == c10::get_privateuse1_backend();
  if (!numbered || (name != "cuda" && !plugged_in)) {
    fail(Code::kUsage, "--device {}: expected auto, cpu, cuda or cuda:N", printable(spec));
  }
  const c10::DeviceType type = plugged_in ? c10::kPrivateUse1 : c10::kCUDA;
  const int found = plugged_in ? c10::impl::getDeviceGuardImpl(type)->deviceCount() : gpu_count();
  if (index >= found) fail_no_gpu(spec, found);
  return {type, static_cast<c10::DeviceIndex>(index)};
}

std::string device_kind(c10::Device device) {
  return c10::DeviceTypeName(device.type(), /*lower_case=*/true);
}

std::string describe_device(c10::Device device, unsigned threads) {
  if (device.is_cpu()) {
    return fmt::format("cpu ({}, {} thread{})", cpu_model(), threads, threads == 1 ? "" : "s");
  }
  return device.str();
}

std::uint64_t peak_memory_mib(c10::Device device) {
  // No allocator of the device: nothing has been computed on it.
  auto* const allocator =
      device.is_cpu() ? nullptr
                      : dynamic_cast<c10::DeviceAllocator*>(c10::GetAllocator(device.type()));
  if (allocator != nullptr && allocator->initialized()) {
    constexpr auto kAll = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    const auto bytes = allocator->getDeviceStats(device.index()).allocated_bytes[kAll].peak;
    return static_cast<std::uint64_t>(bytes) >> 20;
  }
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) / 1024;
}

}  // namespace reprise::engine
