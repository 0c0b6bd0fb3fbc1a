#include "engine/distributed/join_devices.h"

#include "ckpt/base/error.h"
#include "engine/distributed/gather_texts.h"

#include <algorithm>
#include <exception>
#include <fstream>
#include <optional>

namespace reprise::engine {
namespace {

// What a rank says of itself: its GPU, or why it cannot join with it, or nothing at all when it
// computes on the CPU.
constexpr char kCan = '+';
constexpr char kCannot = '-';

// The same in all containers of a machine, as the addresses of its cards are.
std::string machine() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

std::string attempt(const std::function<std::string()>& work) {
  try {
    return kCan + work();
  } catch (const std::exception& error) {
    return kCannot + first_line(error);
  }
}

// Why NCCL is out of the question, the same on all ranks; nothing: it is not.
std::optional<std::string> obstacle(const std::vector<std::string>& said) {
  for (std::size_t rank = 0; rank < said.size(); ++rank) {
    if (said[rank].empty()) return fmt::format("rank {} computes on the CPU", rank);
    if (!said[rank].starts_with(kCan)) {
      return fmt::format("rank {}: {}", rank, said[rank].substr(1));
    }
    const auto other = std::find(said.begin(), said.end(), said[rank]) - said.begin();
    if (static_cast<std::size_t>(other) != rank) {
      return fmt::format("ranks {} and {} share a GPU, which NCCL does not do", other, rank);
    }
  }
  return std::nullopt;
}

}  // namespace

DeviceRoad join_devices(Communicator& communicator, const NcclPlace& place,
                        const std::function<const NcclModule&()>& module) {
  const auto card = [&] { return machine() + " " + module().address_of(place.device); };
  const std::vector<std::string> said =
      gather_texts(communicator, place.device.is_cpu() ? "" : attempt(card));
  if (std::ranges::all_of(said, &std::string::empty)) return {};
  DeviceRoad road;
  std::optional<std::string> reason = obstacle(said);
  if (!reason) {
    // What fails on one rank must not be used by the others.
    const auto join = [&] {
      road.exchange = module().join(place);
      return std::to_string(place.rank);
    };
    reason = obstacle(gather_texts(communicator, attempt(join)));
  }
  if (reason) return {nullptr, *reason};
  return road;
}

}  // namespace reprise::engine
