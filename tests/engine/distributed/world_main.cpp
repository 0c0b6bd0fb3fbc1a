// The program that distributed_test starts: trains the small run in as many processes as it is
// told, and rank 0 prints losses and digest. `world_main N THREADS CASE [network]`, CASE: resnet,
// vit, die, die_exchanging, options, wait; roads, join, gpus: those of device_cases.h; network:
// ranks share no memory.
#include "ckpt/base/error.h"
#include "engine/device/device.h"
#include "engine/distributed/agree.h"
#include "engine/distributed/connect.h"
#include "engine/distributed/launch.h"
#include "tests/engine/distributed/device_cases.h"
#include "tests/engine/shards/small_run.h"

#include <unistd.h>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace reprise::engine {
namespace {

int train(const std::vector<std::string>& arguments) {
  const ProcessPlace place = place_from_environment();
  const std::string& what = arguments.at(3);
  ConnectOptions how;
  if (what == "wait") how.join_timeout = std::chrono::seconds(2);
  how.share_memory = arguments.size() == 4;
  if (what == "gpus") how.device = choose_device("cuda", place.local_rank);
  const auto communicator = connect(place, how);
  if (what == "roads") return compare_roads(*communicator, place);
  if (what == "join") return settle_on_roads(*communicator, place);
  if (what == "gpus") return sum_on_gpus(*communicator, how.device);
  if (what == "options") {
    require_equal_options(*communicator,
                          {{"arch", "vit_tiny"}, {"seed", communicator->rank() / 2}});
    return 0;
  }
  if (what == "die") {
    communicator->barrier();
    if (communicator->rank() == 1) ::raise(SIGKILL);
    for (int i = 0; i < 1000; ++i) communicator->barrier();
    return 0;
  }
  if (what == "die_exchanging") {
    std::vector<std::byte> out(10000000), in(out.size());
    for (int i = 0; i < 1000; ++i) {
      if (communicator->rank() == 1 && i == 5) ::raise(SIGKILL);
      communicator->exchange(communicator->rank() ^ 1, out, in);
      communicator->exchange(communicator->rank() ^ 2, out, in);
    }
    return 0;
  }
  const SmallRun run = what == "vit" ? small_vit() : small_resnet();
  const auto threads = static_cast<unsigned>(std::stoul(arguments.at(2)));
  const SmallRunResult result = run_small(run, threads, *communicator);
  if (communicator->rank() == 0) {
    for (const double loss : result.losses) std::printf("%a ", loss);
    std::printf("%s\n", result.digest.hex().c_str());
  }
  return 0;
}

}  // namespace
}  // namespace reprise::engine

int main(int argc, char** argv) {
  using namespace reprise;
  const std::vector<std::string> arguments(argv, argv + argc);
  const int processes = std::stoi(arguments.at(1));
  try {
    if (processes > 1 && std::getenv("RANK") == nullptr) {
      return engine::launch_local(processes, arguments);
    }
    return engine::train(arguments);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  }
}
