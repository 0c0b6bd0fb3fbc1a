// reduce_bench PROCESSES ELEMENTS ROUNDS: seconds of the fixed-tree sum of float32 numbers over
// processes of this machine, a line a round; for bench.py.
#include "ckpt/base/error.h"
#include "engine/distributed/connect.h"
#include "engine/distributed/launch.h"
#include "engine/distributed/place.h"
#include "engine/shards/reduce.h"
#include "engine/workers/worker_pool.h"

#include <ATen/ATen.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace reprise::engine {
namespace {

int measure(std::int64_t elements, int rounds) {
  const ProcessPlace place = place_from_environment();
  const auto communicator = connect(place);
  prepare_compute_thread();
  at::Tensor values = at::zeros({elements}, at::kFloat);
  for (int round = 0; round <= rounds; ++round) {
    communicator->barrier();
    const auto start = std::chrono::steady_clock::now();
    reduce_over_ranks(values, *communicator);
    communicator->barrier();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    // The first one warms up.
    if (round > 0 && communicator->rank() == 0) std::printf("%.6f\n", taken.count());
  }
  return 0;
}

}  // namespace
}  // namespace reprise::engine

int main(int argc, char** argv) {
  using namespace reprise;
  const std::vector<std::string> arguments(argv, argv + argc);
  if (argc != 4) return 2;
  try {
    if (std::getenv("RANK") == nullptr) {
      return engine::launch_local(std::stoi(arguments[1]), arguments);
    }
    return engine::measure(std::stoll(arguments[2]), std::stoi(arguments[3]));
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  }
}
