// Bytes between ranks of one machine, through memory that they share.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace reprise::engine {

// How other ranks find the memory of this one. Ranks send it to each other as it lies.
struct NeighbourCard {
  std::array<char, 40> machine{};   // the boot id of the kernel
  std::uint64_t pid_namespace = 0;  // inode: `pid` means something within it
  std::int64_t pid = 0;
  std::int64_t memory = -1;  // file descriptor in that process
  std::uint64_t nonce = 0;   // repeated in the memory
};

// The rings of this rank to the partners it exchanges with in a tree, rank ^ 1, 2, 4, ..., of
// 1 MiB each: a sender copies into one while its partner works on what lies there. Only bytes of
// processes of the same user meet here: memory is reached through /proc, whose rules decide.
// A partner that ends is noticed within a second. Used from one thread.
class Neighbours {
 public:
  using Arrived = std::function<void(std::size_t offset, std::span<const std::byte> piece)>;

  // Where this rank's memory cannot be had (a limit, an old kernel), card() invites nobody.
  Neighbours(int rank, int world);
  ~Neighbours();
  Neighbours(const Neighbours&) = delete;
  Neighbours& operator=(const Neighbours&) = delete;

  NeighbourCard card() const;
  // Opens the memory of each partner that is on this machine. Returns, by the number of the bit
  // in which a partner's rank differs, whether that worked. `cards` by rank.
  std::vector<std::uint8_t> open(std::span<const NeighbourCard> cards);
  // Leaves out the partner of that bit: it could not open ours.
  void close(std::size_t bit);
  bool has(int partner) const;
  // Whether the process of a partner that has() knows is gone.
  bool has_ended(int partner) const;

  // Communicator::exchange_pieces() with a partner that has() knows; pieces come in any size.
  // Errors: std::runtime_error when the partner has ended, or nothing moved for `patience`.
  void exchange(int partner, std::span<const std::byte> out, std::size_t in_bytes,
                const Arrived& arrived, std::chrono::milliseconds patience);

 private:
  struct Memory;
  struct Partner;
  int rank_;
  std::unique_ptr<Memory> mine_;
  std::vector<std::unique_ptr<Partner>> partners_;  // by bit; null: not on this machine
};

}  // namespace reprise::engine
