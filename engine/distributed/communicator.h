// The processes of a run, and how they exchange bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace reprise::engine {

class DeviceExchange;

// Moves bytes between processes and never adds numbers: sums are ours, in a fixed order.
// Every rank makes the same calls in the same order, from one thread.
// Errors of all: kIo naming the rank that is gone or silent; the run can be resumed.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int world() const = 0;
  // Sends `out` to `partner` and fills `in` from it; both ranks call it. Equal lengths need not be.
  virtual void exchange(int partner, std::span<const std::byte> out, std::span<std::byte> in) = 0;
  // exchange() for what is worked on at once: `in_bytes` come as pieces of the same few megabytes,
  // each given to `arrived` with its place in the whole, in order, while the next ones are on
  // their way. `out` must not change meanwhile; a piece lives during the call.
  using Arrived = std::function<void(std::size_t offset, std::span<const std::byte> piece)>;
  virtual void exchange_pieces(int partner, std::span<const std::byte> out, std::size_t in_bytes,
                               const Arrived& arrived) = 0;
  // `all` is world() pieces of mine.size() bytes, in the order of ranks.
  virtual void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) = 0;
  virtual void broadcast(std::span<std::byte> bytes, int root) = 0;
  virtual void barrier() = 0;
  // For tensors of a GPU, where there is a road from GPU to GPU; else null. Lives as long as this.
  virtual DeviceExchange* device_exchange() noexcept { return nullptr; }
  // By which road sums go, for people, and why by no faster one: "over Gloo".
  virtual std::string road() const = 0;
  // Tells the others that this process fails and why, so that they stop within seconds.
  virtual void abandon(const std::string& reason) noexcept = 0;
};

// A run of one process.
std::unique_ptr<Communicator> single_process();

}  // namespace reprise::engine
