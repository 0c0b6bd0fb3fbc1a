// Linked into a program beside its main and the watched device: what the device found is said at
// the end, and changes the exit code.
#include "tests/engine/watched_device/watched_device.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace {

constexpr int kFound = 99;

void say_findings() {
  const auto findings = reprise::engine::take_findings();
  for (const auto& finding : findings)
    std::fprintf(stderr, "watched device: %s\n", finding.c_str());
  std::uintmax_t waits = 0;
  for (const auto& [why, count] : reprise::engine::take_host_waits()) {
    std::fprintf(stderr, "watched device: %ju host waits for %s\n", std::uintmax_t{count},
                 why.c_str());
    waits += count;
  }
  const std::uintmax_t pinned = reprise::engine::take_bytes_from_pinned();
  const std::uintmax_t peak = reprise::engine::peak_bytes();
  std::fprintf(stderr,
               "watched device: %zu findings, %ju bytes from pinned memory, %ju bytes at the peak, "
               "%ju host waits\n",
               findings.size(), pinned, peak, waits);
  if (!findings.empty()) std::_Exit(kFound);
}

const bool kWillSay = std::atexit(&say_findings) == 0;

}  // namespace
