// Reads a pickle as often as asked and prints "seconds peak_kib" for each: the other side of bench.py.
#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/pickle/machine.h"

#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace {

long peak_kib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace reprise;
  if (argc != 3) return 2;
  const std::string bytes = read_text(argv[1], std::uint64_t{1} << 32);
  const long before = peak_kib();
  for (int round = 0; round < std::atoi(argv[2]); ++round) {
    const auto start = std::chrono::steady_clock::now();
    Arena arena;
    const Value root = pickle::load(arena, as_bytes(bytes)).root;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (root.is_none()) return 1;
    std::printf("%.6f %ld\n", seconds, peak_kib() - before);
  }
  return 0;
}
