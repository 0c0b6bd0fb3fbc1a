// Reads a pickle as often as asked and prints "seconds peak_kib" for each: the other side of
// bench.py.
#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/pickle/machine.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

namespace {

// Not getrusage(), whose peak a process inherits from its parent.
long peak_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    long kib = 0;
    if (word == "VmHWM:" && status >> kib) return kib;
  }
  return 0;
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
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (root.is_none()) return 1;
    std::printf("%.6f %ld\n", seconds, peak_kib() - before);
  }
  return 0;
}
