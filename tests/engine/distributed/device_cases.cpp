#include "tests/engine/distributed/device_cases.h"

#include "ckpt/base/error.h"
#include "engine/distributed/gather_texts.h"
#include "engine/distributed/join_devices.h"
#include "engine/random/stream.h"
#include "engine/shards/reduce.h"
#include "engine/shards/tree.h"
#include "tests/engine/distributed/gloo_exchange.h"

#include <ATen/ATen.h>

#include <bit>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <limits>
#include <stdexcept>

namespace reprise::engine {
namespace {

// The communicator with another exchange of tensors, or none.
class With : public Communicator {
 public:
  With(Communicator& base, DeviceExchange* exchange) : base_(base), exchange_(exchange) {}
  int rank() const override { return base_.rank(); }
  int world() const override { return base_.world(); }
  void exchange(int partner, std::span<const std::byte> out, std::span<std::byte> in) override {
    base_.exchange(partner, out, in);
  }
  void exchange_pieces(int partner, std::span<const std::byte> out, std::size_t in_bytes,
                       const Arrived& arrived) override {
    base_.exchange_pieces(partner, out, in_bytes, arrived);
  }
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    base_.all_gather(mine, all);
  }
  void broadcast(std::span<std::byte> bytes, int root) override { base_.broadcast(bytes, root); }
  void barrier() override { base_.barrier(); }
  DeviceExchange* device_exchange() noexcept override { return exchange_; }
  std::string road() const override { return base_.road(); }
  void abandon(const std::string& reason) noexcept override { base_.abandon(reason); }

 private:
  Communicator& base_;
  DeviceExchange* exchange_;
};

// Numbers of all sizes, and now and then what sums are sensitive to.
at::Tensor numbers(std::int64_t count, int rank, bool special) {
  at::Tensor out = at::empty({count}, at::kFloat);
  float* values = out.mutable_data_ptr<float>();
  Stream stream(11, Domain::kGenerated, {static_cast<std::uint64_t>(rank)});
  stream.fill_normal(std::span(values, static_cast<std::size_t>(count)), 0.0F, 1e3F);
  for (std::int64_t i = 0; special && i < count; ++i) {
    const std::uint64_t draw = stream.below(40);
    if (draw == 0) values[i] = -0.0F;
    if (draw == 1) values[i] = std::numeric_limits<float>::denorm_min();
    if (draw == 2) values[i] = rank % 2 == 0 ? std::numeric_limits<float>::infinity() : -1e38F;
  }
  return out;
}

bool same_bits(const at::Tensor& one, const at::Tensor& other) {
  const at::Tensor a = one.cpu();
  const at::Tensor b = other.cpu();
  return a.nbytes() == b.nbytes() &&
         std::memcmp(a.const_data_ptr(), b.const_data_ptr(), a.nbytes()) == 0;
}

// The sum of all ranks in the fixed tree, worked out without exchanging pieces.
at::Tensor tree_of(std::span<const at::Tensor> parts) {
  if (parts.size() == 1) return parts[0];
  const std::uint64_t left = left_leaves(parts.size());
  return at::add(tree_of(parts.first(left)), tree_of(parts.subspan(left)));
}

at::Tensor expected(std::int64_t count, const Communicator& communicator, bool special) {
  std::vector<at::Tensor> parts;
  for (int rank = 0; rank < communicator.world(); ++rank) {
    parts.push_back(numbers(count, rank, special));
  }
  return tree_of(parts);
}

std::string meeting_file(const ProcessPlace& place, const char* what) {
  return std::filesystem::temp_directory_path() /
         fmt::format("reprise-world-{}-{}", place.port, what);
}

constexpr std::int64_t kCounts[] = {0, 1, 15, 16, 17, 33, 1000, (std::int64_t{1} << 20) + 3};

int complain(const Communicator& communicator, const std::string& what) {
  std::fprintf(stderr, "rank %d: %s\n", communicator.rank(), what.c_str());
  return 1;
}

}  // namespace

int compare_roads(Communicator& communicator, const ProcessPlace& place) {
  GlooExchange exchange(meeting_file(place, "roads"), place.rank, place.world);
  With through_cpu(communicator, nullptr);
  With direct(communicator, &exchange);
  for (const std::int64_t count : kCounts) {
    at::Tensor one = numbers(count, place.rank, true);
    at::Tensor other = one.clone();
    const at::Tensor before = one.clone();
    reduce_over_ranks(one, through_cpu);
    if (exchange.exchanges != 0) return complain(communicator, "the CPU's road took the other one");
    reduce_over_ranks(other, direct);
    if (exchange.exchanges == 0) return complain(communicator, "the exchange was not used");
    exchange.exchanges = 0;
    if (!same_bits(one, expected(count, communicator, true))) {
      return complain(communicator, fmt::format("{} numbers: not the tree's sum", count));
    }
    if (!same_bits(one, other)) {
      return complain(communicator, fmt::format("{} numbers: the roads differ", count));
    }
    if (count > 100 && same_bits(one, before)) return complain(communicator, "nothing was added");
  }
  return 0;
}

namespace {

// What a machine's cards would say, joined by c10d's Gloo.
class PretendedCards : public NcclModule {
 public:
  PretendedCards(const ProcessPlace& place, bool shared, int failing)
      : place_(place), shared_(shared), failing_(failing) {}
  std::string address_of(c10::Device device) const override {
    return std::to_string(shared_ ? 0 : device.index());
  }
  std::unique_ptr<DeviceExchange> join(const NcclPlace& place) const override {
    if (place.rank == failing_) throw std::runtime_error("out of memory\nand a long trace");
    // With one that fails nobody meets anybody, and each has an exchange of its own to give up.
    const bool alone = failing_ >= 0;
    const std::string file = meeting_file(place_, alone ? "alone" : "join");
    return alone ? std::make_unique<GlooExchange>(file, 0, 1)
                 : std::make_unique<GlooExchange>(file, place.rank, place.world);
  }

 private:
  ProcessPlace place_;
  bool shared_;
  int failing_;
};

}  // namespace

int settle_on_roads(Communicator& communicator, const ProcessPlace& place) {
  constexpr int kNobody = -1;
  const auto settle = [&](c10::Device device, bool shared, int failing) {
    const PretendedCards cards(place, shared, failing);
    NcclPlace mine{nullptr, place.rank, place.world, device, std::chrono::seconds(30), [](int) {}};
    return join_devices(communicator, mine, [&]() -> const NcclModule& { return cards; });
  };
  const auto differs = [&](const DeviceRoad& road, bool direct, const std::string& obstacle) {
    if ((road.exchange != nullptr) == direct && road.obstacle == obstacle) return false;
    complain(communicator, "'" + road.obstacle + "', expected '" + obstacle + "'");
    return true;
  };
  const c10::Device own(c10::kCUDA, static_cast<c10::DeviceIndex>(place.rank));
  if (differs(settle(c10::kCPU, false, kNobody), false, "")) return 1;
  if (differs(settle(place.rank == 1 ? c10::Device(c10::kCPU) : own, false, kNobody), false,
              "rank 1 computes on the CPU")) {
    return 1;
  }
  if (differs(settle(own, true, kNobody), false,
              "ranks 0 and 1 share a GPU, which NCCL does not do")) {
    return 1;
  }
  if (differs(settle(own, false, kNobody), true, "")) return 1;
  if (differs(settle(own, false, 1), false, "rank 1: out of memory")) {
    return 1;
  }
  return 0;
}

int sum_on_gpus(Communicator& communicator, c10::Device device) {
  DeviceExchange* exchange = communicator.device_exchange();
  if (exchange == nullptr || exchange->device() != device) {
    return complain(communicator, "sums go " + communicator.road());
  }
  With through_cpu(communicator, nullptr);
  for (const std::int64_t count : kCounts) {
    at::Tensor one = numbers(count, communicator.rank(), false).to(device);
    at::Tensor other = one.clone();
    reduce_over_ranks(one, communicator);
    reduce_over_ranks(other, through_cpu);
    if (!same_bits(one, expected(count, communicator, false)) || !same_bits(one, other)) {
      return complain(communicator, fmt::format("{} numbers: other bits over NCCL", count));
    }
  }
  return 0;
}

}  // namespace reprise::engine
