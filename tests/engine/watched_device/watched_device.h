// A device for LibTorch as strict as a GPU can be, on any machine: its memory faults when the host
// touches it, its streams have no order but that of events, and its backward passes run in
// LibTorch's threads. The CPU's kernels do its work, so numbers are those of the CPU.
//
// It tells whether code would be right on a GPU, not what NVIDIA's kernels give or how fast.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace reprise::engine {

// There are two of them, to be linked into a test.
inline constexpr c10::DeviceIndex kWatchedDevices = 2;
c10::Device watched_device(c10::DeviceIndex index = 0);

// Accesses without order since the last call, in words; see StreamWatch.
std::vector<std::string> take_findings();

// How often the host has waited for the devices since the last call, by what it waited for: while
// it does, it gives them nothing to do.
std::map<std::string, std::uint64_t> take_host_waits();

// Bytes that went from the devices to the host since the last call.
std::uint64_t take_bytes_to_host();
// Bytes that the devices were to copy from pinned memory on their own, likewise.
std::uint64_t take_bytes_from_pinned();

// The most that the first device had handed out.
std::uint64_t peak_bytes();

// Whether the devices can copy from there on their own.
bool is_pinned(const void* memory);

// What fails while one of these lives, with a c10::Error.
enum class Failing {
  kPinnedMemory,  // the host has none to give
  kSideStreams,   // kernels on every stream of a device but its first one
};
class Failure {
 public:
  explicit Failure(Failing what);
  ~Failure();
  Failure(const Failure&) = delete;
  Failure& operator=(const Failure&) = delete;

 private:
  Failing what_;
};

}  // namespace reprise::engine
