#include "tests/engine/watched_device/failures.h"

#include <c10/util/Exception.h>

#include <array>
#include <atomic>
#include <cstddef>

namespace reprise::engine {
namespace {

std::array<std::atomic<int>, 2> failing{};

std::atomic<int>& count(Failing what) { return failing[static_cast<std::size_t>(what)]; }

}  // namespace

Failure::Failure(Failing what) : what_(what) { ++count(what_); }

Failure::~Failure() { --count(what_); }

void fail_if_told(Failing what) {
  TORCH_CHECK(count(what) == 0, what == Failing::kPinnedMemory
                                    ? "the watched device's host is out of pinned memory"
                                    : "the watched device fails beside its first stream");
}

}  // namespace reprise::engine
