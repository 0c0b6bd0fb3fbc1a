// Where tensors are computed: "auto", "cpu", "cuda" or "cuda:1".
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace reprise::engine {

// The device that `spec` means here; beside those above also one that a plug-in of LibTorch has
// registered in this process, by its name. "auto" takes a GPU where LibTorch finds one, else the
// CPU; `local_rank` picks among the GPUs for "auto" and "cuda". Loads LibTorch's CUDA part
// (seconds) only when `spec` can mean a GPU and a driver is present.
// Errors: kUsage for an unknown spec; kNotFound for a GPU that is not there, saying what
// was found (no driver, no CUDA build, fewer GPUs) and to use --device cpu.
c10::Device choose_device(std::string_view spec, int local_rank = 0);

// What of a device decides bits: "cpu", "cuda", or a plug-in's name, without a number.
std::string device_kind(c10::Device device);

// "cpu (AMD EPYC 9355, 2 threads)" or "cuda:0": for the first lines of a run.
std::string describe_device(c10::Device device, unsigned threads);

// The most memory so far, in MiB: what was resident of this process or, on a GPU, what its tensors
// took there.
std::uint64_t peak_memory_mib(c10::Device device);

}  // namespace reprise::engine
