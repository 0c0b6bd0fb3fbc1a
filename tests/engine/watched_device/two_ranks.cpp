#include "tests/engine/watched_device/two_ranks.h"

#include "engine/distributed/device_exchange.h"
#include "tests/engine/watched_device/watched_device.h"

#include <ATen/ATen.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <exception>
#include <stdexcept>
#include <thread>

namespace reprise::engine {
namespace {

// Where the two show each other something.
class Meeting {
 public:
  // `use` gets what the other one brought, which stays until both have used it or failed to.
  template <typename T, typename Use>
  void meet(int rank, const T& mine, const Use& use) {
    shown_[static_cast<std::size_t>(rank)] = &mine;
    wait();
    std::exception_ptr failure;
    try {
      use(*static_cast<const T*>(shown_[static_cast<std::size_t>(1 - rank)]));
    } catch (...) {
      failure = std::current_exception();
    }
    wait();
    if (failure) std::rethrow_exception(failure);
  }
  void leave(bool failed) {
    failed_ = failed_ || failed;
    barrier_.arrive_and_drop();
  }

 private:
  void wait() {
    barrier_.arrive_and_wait();
    if (failed_) throw std::runtime_error("the other rank failed");
  }

  std::array<const void*, 2> shown_{};
  std::atomic<bool> failed_ = false;
  std::barrier<> barrier_{2};
};

// As ProcessGroupNCCL: transfers have a stream of their own, which follows the caller's and is
// followed by it. They write to the receiver's memory and read the sender's.
class Exchange : public DeviceExchange {
 public:
  Exchange(Meeting& meeting, c10::Device device)
      : meeting_(meeting),
        device_(device),
        streams_(device.type()),
        wire_(streams_.getStreamFromGlobalPool(device)) {}

  c10::Device device() const override { return device_; }

  void exchange(int /*partner*/, const at::Tensor& out, const at::Tensor& in) override {
    const c10::Stream caller = streams_.getStream(device_);
    c10::Event ready(device_.type());
    ready.record(caller);
    const Offer mine{out, ready};
    c10::Event done(device_.type());
    meeting_.meet(device_.index(), mine, [&](const Offer& theirs) {
      ready.block(wire_);
      theirs.ready.block(wire_);
      const c10::StreamGuard on_the_wire(wire_);
      in.copy_(theirs.out);
      done.record(wire_);
    });
    meeting_.meet(device_.index(), done, [&](const c10::Event& their_copy) {
      done.block(caller);
      their_copy.block(caller);
    });
  }

 private:
  struct Offer {
    const at::Tensor& out;
    const c10::Event& ready;
  };

  Meeting& meeting_;
  c10::Device device_;
  c10::impl::VirtualGuardImpl streams_;
  c10::Stream wire_;
};

class Rank : public Communicator {
 public:
  Rank(Meeting& meeting, Road road, c10::Device device)
      : meeting_(meeting), device_(device), exchange_(meeting, device), road_(road) {}
  int rank() const override { return device_.index(); }
  int world() const override { return 2; }
  void exchange(int /*partner*/, std::span<const std::byte> out, std::span<std::byte> in) override {
    meeting_.meet(rank(), out, [&](std::span<const std::byte> theirs) {
      std::copy(theirs.begin(), theirs.end(), in.begin());
    });
  }
  void exchange_pieces(int partner, std::span<const std::byte> out, std::size_t in_bytes,
                       const Arrived& arrived) override {
    std::vector<std::byte> in(in_bytes);
    exchange(partner, out, in);
    arrived(0, in);
  }
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    const auto place = [&](int rank) {
      return all.subspan(static_cast<std::size_t>(rank) * mine.size(), mine.size());
    };
    std::ranges::copy(mine, place(rank()).begin());
    exchange(1 - rank(), mine, place(1 - rank()));
  }
  void broadcast(std::span<std::byte> bytes, int root) override {
    std::vector<std::byte> theirs(bytes.size());
    exchange(1 - rank(), bytes, theirs);
    if (rank() != root) std::ranges::copy(theirs, bytes.begin());
  }
  void barrier() override { exchange(1 - rank(), {}, {}); }
  DeviceExchange* device_exchange() noexcept override {
    return road_ == Road::kDevices ? &exchange_ : nullptr;
  }
  std::string road() const override { return "between threads"; }
  void abandon(const std::string& /*reason*/) noexcept override {}

 private:
  Meeting& meeting_;
  c10::Device device_;
  Exchange exchange_;
  Road road_;
};

}  // namespace

void run_two_ranks(
    Road road, const std::function<void(Communicator& communicator, c10::Device device)>& work) {
  Meeting meeting;
  std::array<std::exception_ptr, 2> failures;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 2; ++rank) {
    threads.emplace_back([&, rank] {
      const auto device = watched_device(static_cast<c10::DeviceIndex>(rank));
      std::exception_ptr& failure = failures[static_cast<std::size_t>(rank)];
      try {
        const c10::DeviceGuard here(device);
        Rank communicator(meeting, road, device);
        work(communicator, device);
      } catch (...) {
        failure = std::current_exception();
      }
      meeting.leave(failure != nullptr);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

}  // namespace reprise::engine
