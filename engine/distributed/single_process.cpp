#include "engine/distributed/communicator.h"

#include "ckpt/base/error.h"

#include <algorithm>

namespace reprise::engine {
namespace {

class SingleProcess : public Communicator {
 public:
  int rank() const override { return 0; }
  int world() const override { return 1; }
  void exchange(int partner, std::span<const std::byte>, std::span<std::byte>) override {
    refuse(partner);
  }
  void exchange_pieces(int partner, std::span<const std::byte>, std::size_t,
                       const Arrived&) override {
    refuse(partner);
  }
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    std::ranges::copy(mine, all.begin());
  }
  void broadcast(std::span<std::byte>, int) override {}
  void barrier() override {}
  std::string road() const override { return "nowhere: one process"; }
  void abandon(const std::string&) noexcept override {}

 private:
  [[noreturn]] static void refuse(int partner) {
    fail(Code::kInternal, "a run of one process has no rank {} to exchange with", partner);
  }
};

}  // namespace

std::unique_ptr<Communicator> single_process() { return std::make_unique<SingleProcess>(); }

}  // namespace reprise::engine
