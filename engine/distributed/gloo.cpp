#include "engine/distributed/connect.h"

#include "ckpt/base/error.h"
#include "engine/distributed/join_devices.h"
#include "engine/distributed/listener.h"
#include "engine/distributed/neighbours.h"

#include <ATen/ATen.h>
#include <c10/util/Logging.h>
#include <fmt/ranges.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace reprise::engine {
namespace {

// Of exchange_pieces(): a piece stays in the second-level cache between arriving and being worked
// on.
constexpr std::size_t kPieceBytes = std::size_t{2} << 20;
constexpr std::size_t kPiecesAhead = 8;

// Who failed first, and why: the one key that ranks read after a connection broke.
constexpr const char* kAbandoned = "reprise/abandoned";

// c10d logs every connection that breaks with a trace of its own code; what of it concerns a user
// is in our errors. TORCH_CPP_LOG_LEVEL has it as before.
void quiet_c10d() {
  if (std::getenv("TORCH_CPP_LOG_LEVEL") == nullptr) FLAGS_caffe2_log_level = c10::GLOG_FATAL;
}

std::vector<std::uint8_t> octets(const std::string& text) { return {text.begin(), text.end()}; }

class Gloo : public Communicator {
 public:
  Gloo(c10::intrusive_ptr<c10d::Store> store, const ProcessPlace& place,
       const ConnectOptions& options)
      : store_(std::move(store)), place_(place), silence_timeout_(options.silence_timeout) {
    auto gloo = c10d::ProcessGroupGloo::Options::create(options.silence_timeout);
    const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
    if (interface != nullptr) {
      gloo->devices.push_back(c10d::ProcessGroupGloo::createDeviceForInterface(interface));
    } else if (place.local_world == place.world) {
      gloo->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1"));
    } else {
      gloo->devices.push_back(c10d::ProcessGroupGloo::createDefaultDevice());
    }
    group_ = c10::make_intrusive<c10d::ProcessGroupGloo>(store_, place.rank, place.world, gloo);
    if (options.share_memory) meet_neighbours();
  }

  // Every rank calls it once, before anything else. Errors: those of Communicator.
  void join_devices(const ConnectOptions& options) {
    const NcclPlace place{store_,           place_.rank,
                          place_.world,     options.device,
                          silence_timeout_, [this](int partner) { refuse_if_lost(partner); }};
    DeviceRoad joined = engine::join_devices(*this, place, nccl_module);
    obstacle_ = std::move(joined.obstacle);
    if (joined.exchange) devices_.emplace(*this, std::move(joined.exchange));
  }

  int rank() const override { return place_.rank; }
  int world() const override { return place_.world; }

  void exchange(int partner, std::span<const std::byte> out, std::span<std::byte> in) override {
    if (!is_near(partner)) return transfer(partner, out, partner, in);
    exchange_pieces(partner, out, in.size(),
                    [&](std::size_t offset, std::span<const std::byte> piece) {
                      std::ranges::copy(piece, in.subspan(offset).begin());
                    });
  }

  void exchange_pieces(int partner, std::span<const std::byte> out, std::size_t in_bytes,
                       const Arrived& arrived) override {
    if (is_near(partner)) {
      return guarded(partner, [&] {
        neighbours_->exchange(partner, out, in_bytes, arrived, silence_timeout_);
      });
    }
    pieces_.resize(kPiecesAhead * kPieceBytes);
    std::vector<c10::intrusive_ptr<c10d::Work>> sending, receiving;
    for (std::size_t first = 0; first < out.size(); first += kPieceBytes) {
      std::vector<at::Tensor> piece{
          borrowed(out.subspan(first, std::min(kPieceBytes, out.size() - first)))};
      guarded(partner, [&] { sending.push_back(group_->send(piece, partner, kTag)); });
    }
    const auto slot = [&](std::size_t index) {
      return std::span(pieces_).subspan(index % kPiecesAhead * kPieceBytes,
                                        std::min(kPieceBytes, in_bytes - index * kPieceBytes));
    };
    const auto receive = [&](std::size_t index) {
      std::vector<at::Tensor> piece{borrowed(slot(index))};
      guarded(partner, [&] { receiving.push_back(group_->recv(piece, partner, kTag)); });
    };
    const std::size_t count = (in_bytes + kPieceBytes - 1) / kPieceBytes;
    for (std::size_t i = 0; i < std::min(count, kPiecesAhead); ++i) receive(i);
    for (std::size_t i = 0; i < count; ++i) {
      guarded(partner, [&] { receiving[i]->wait(); });
      arrived(i * kPieceBytes, slot(i));
      if (i + kPiecesAhead < count) receive(i + kPiecesAhead);
    }
    for (const auto& work : sending) guarded(partner, [&] { work->wait(); });
  }

  // Round the ring, from neighbour to neighbour: whoever is gone is a neighbour of somebody, who
  // can name it.
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    const auto size = mine.size();
    const auto piece = [&](int owner) {
      const int wrapped = (owner % world() + world()) % world();
      return all.subspan(static_cast<std::size_t>(wrapped) * size, size);
    };
    std::ranges::copy(mine, piece(rank()).begin());
    const int right = (rank() + 1) % world();
    const int left = (rank() + world() - 1) % world();
    for (int step = 0; step + 1 < world(); ++step) {
      transfer(right, piece(rank() - step), left, piece(rank() - step - 1));
    }
  }

  void broadcast(std::span<std::byte> bytes, int root) override {
    if (rank() != root) return transfer(root, {}, root, bytes);
    for (int other = 0; other < world(); ++other) {
      if (other != root) transfer(other, bytes, other, {});
    }
  }

  void barrier() override {
    const std::byte here{1};
    std::vector<std::byte> all(static_cast<std::size_t>(world()));
    all_gather(std::span(&here, 1), all);
  }

  DeviceExchange* device_exchange() noexcept override { return devices_ ? &*devices_ : nullptr; }
  std::string road() const override {
    if (devices_) return "from GPU to GPU over NCCL";
    const std::string own = memory_road();
    return obstacle_.empty() ? own : fmt::format("{}, by way of the CPU: {}", own, obstacle_);
  }

  void abandon(const std::string& reason) noexcept override {
    try {
      store_->compareSet(kAbandoned, {}, octets(fmt::format("rank {}: {}", rank(), reason)));
    } catch (...) {
      // The store is gone with rank 0; the closed connections say enough.
    }
  }

 private:
  static constexpr int kTag = 0;

  // An exchange whose errors are those of a run.
  class Devices : public DeviceExchange {
   public:
    Devices(Gloo& run, std::unique_ptr<DeviceExchange> exchange)
        : run_(run), exchange_(std::move(exchange)) {}
    c10::Device device() const override { return exchange_->device(); }
    void exchange(int partner, const at::Tensor& out, const at::Tensor& in) override {
      run_.guarded(partner, [&] { exchange_->exchange(partner, out, in); });
    }

   private:
    Gloo& run_;
    std::unique_ptr<DeviceExchange> exchange_;
  };

  // NCCL does not notice that a rank of the same machine is gone.
  void refuse_if_lost(int partner) {
    if (is_near(partner) && neighbours_->has_ended(partner)) {
      throw std::runtime_error("its process has ended");
    }
    if (store_->check({kAbandoned})) throw std::runtime_error("another rank gave up");
  }

  std::string memory_road() const {
    int near = 0;
    int partners = 0;
    for (int distance = 1; distance < world(); distance *= 2) {
      ++partners;
      if (is_near(rank() ^ distance)) ++near;
    }
    if (near == 0) return "over Gloo";
    return near == partners ? "through shared memory" : "through shared memory and over Gloo";
  }

  static at::Tensor borrowed(std::span<const std::byte> bytes) {
    return at::from_blob(const_cast<std::byte*>(bytes.data()),
                         {static_cast<std::int64_t>(bytes.size())}, at::TensorOptions(at::kByte));
  }

  bool is_near(int partner) const { return neighbours_ && neighbours_->has(partner); }

  // A pair shares memory when each of both could open the other's.
  void meet_neighbours() {
    neighbours_ = std::make_unique<Neighbours>(rank(), world());
    const NeighbourCard mine = neighbours_->card();
    std::vector<NeighbourCard> cards(static_cast<std::size_t>(world()));
    all_gather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(cards)));
    const std::vector<std::uint8_t> opened = neighbours_->open(cards);
    std::vector<std::uint8_t> all(opened.size() * cards.size());
    all_gather(std::as_bytes(std::span(opened)), std::as_writable_bytes(std::span(all)));
    for (std::size_t bit = 0; bit < opened.size(); ++bit) {
      const auto partner = static_cast<std::size_t>(rank() ^ (1 << bit));
      if (partner < cards.size() && all[partner * opened.size() + bit] == 0) {
        neighbours_->close(bit);
      }
    }
  }

  // Sends to one rank while it receives from one, the same or another.
  void transfer(int to, std::span<const std::byte> out, int from, std::span<std::byte> in) {
    std::vector<at::Tensor> sent{borrowed(out)};
    std::vector<at::Tensor> received{borrowed(in)};
    c10::intrusive_ptr<c10d::Work> sending, receiving;
    if (!in.empty()) guarded(from, [&] { receiving = group_->recv(received, from, kTag); });
    if (!out.empty()) guarded(to, [&] { sending = group_->send(sent, to, kTag); });
    if (sending) guarded(to, [&] { sending->wait(); });
    if (receiving) guarded(from, [&] { receiving->wait(); });
  }

  void guarded(int whom, const std::function<void()>& work) {
    try {
      work();
    } catch (const std::exception& error) {
      // A rank says why it fails before its connections close, so the first reason is the cause and
      // what follows from it comes later.
      const std::string lost = fmt::format("rank {} is gone or silent", whom);
      abandon(lost);
      throw Error(
          Code::kIo,
          fmt::format("rank {} cannot go on: {} ({}); start again with --resume-from and any "
                      "number of processes that divides the shards",
                      rank(), first_reason(lost), first_line(error)));
    }
  }

  // Why the rank that failed first did. Without its meeting point a run has lost rank 0.
  std::string first_reason(const std::string& otherwise) noexcept {
    try {
      if (!store_->check({kAbandoned})) return otherwise;
      const auto text = store_->get(kAbandoned);
      const std::string reason =
          printable({reinterpret_cast<const char*>(text.data()), text.size()});
      // Its own words need no name before them.
      const std::string own = fmt::format("rank {}: ", rank());
      return reason.starts_with(own) ? reason.substr(own.size()) : reason;
    } catch (...) {
      return place_.store_is_served ? otherwise : "rank 0 is gone";
    }
  }

  c10::intrusive_ptr<c10d::Store> store_;
  ProcessPlace place_;
  std::chrono::seconds silence_timeout_;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> group_;
  std::unique_ptr<Neighbours> neighbours_;
  std::vector<std::byte> pieces_;
  std::optional<Devices> devices_;
  std::string obstacle_;  // why GPUs exchange nothing directly, if there are any
};

[[noreturn]] void fail_to_meet(const ProcessPlace& place, const std::string& why) {
  fail(Code::kIo,
       "rank {}: no meeting point at {}:{} ({}); is the port in use, or rank 0 not "
       "running? Set another MASTER_PORT",
       place.rank, place.address, place.port, why);
}

// Every rank says that it is here and waits for the others, so that a missing one has a number.
void wait_for_all(c10d::Store& store, const ProcessPlace& place, std::chrono::seconds timeout) {
  const auto key = [](int rank) { return fmt::format("reprise/here/{}", rank); };
  store.set(key(place.rank), octets("1"));
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  std::vector<int> missing;
  for (int rank = 0; rank < place.world; ++rank) missing.push_back(rank);
  while (true) {
    std::erase_if(missing, [&](int rank) { return store.check({key(rank)}); });
    if (missing.empty()) return;
    if (std::chrono::steady_clock::now() > deadline) {
      fail(Code::kIo,
           "rank {} of {} did not come within {} s; start all ranks, and check that they "
           "reach {}:{}",
           fmt::join(missing, ", "), place.world, timeout.count(), place.address, place.port);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

}  // namespace

std::unique_ptr<Communicator> connect(const ProcessPlace& place, const ConnectOptions& options) {
  if (place.world == 1) return single_process();
  quiet_c10d();
  c10d::TCPStoreOptions tcp;
  tcp.port = place.port;
  tcp.isServer = place.rank == 0 && !place.store_is_served;
  tcp.waitWorkers = false;
  tcp.timeout = options.join_timeout;
  if (tcp.isServer && place.listening_fd >= 0) tcp.masterListenFd = place.listening_fd;
  if (!tcp.isServer) {
    // c10d would try for longer than it is told.
    const auto why = wait_for_listener(place.address, place.port, options.join_timeout);
    if (why) fail_to_meet(place, fmt::format("{} s: {}", options.join_timeout.count(), *why));
  }
  c10::intrusive_ptr<c10d::Store> store;
  try {
    store = c10::make_intrusive<c10d::TCPStore>(place.address, tcp);
  } catch (const std::exception& error) {
    fail_to_meet(place, first_line(error));
  }
  // Runs that torchrun restarts share its store: each try has its own names.
  const char* attempt = std::getenv("TORCHELASTIC_RESTART_COUNT");
  store = c10::make_intrusive<c10d::PrefixStore>(
      fmt::format("reprise/{}", attempt == nullptr ? "0" : attempt), store);
  try {
    wait_for_all(*store, place, options.join_timeout);
  } catch (const c10::Error& error) {
    fail(Code::kIo,
         "rank {}: the meeting point at {}:{} is gone ({}); rank 0 gave up or was ended: what it "
         "said is the reason",
         place.rank, place.address, place.port, first_line(error));
  }
  std::unique_ptr<Gloo> communicator;
  try {
    communicator = std::make_unique<Gloo>(store, place, options);
  } catch (const std::exception& error) {
    fail(Code::kIo,
         "rank {}: the ranks met, but cannot connect to each other ({}); set "
         "GLOO_SOCKET_IFNAME to the network they share",
         place.rank, first_line(error));
  }
  communicator->join_devices(options);
  return communicator;
}

}  // namespace reprise::engine
