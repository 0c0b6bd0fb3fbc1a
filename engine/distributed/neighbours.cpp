#include "engine/distributed/neighbours.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <climits>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>

namespace reprise::engine {
namespace {

// A slot fits into the second-level cache together with what it is added to; eight keep a sender
// going while its partner is off the core.
constexpr std::size_t kSlotBytes = std::size_t{128} << 10;
constexpr std::size_t kSlots = 8;
constexpr std::size_t kLine = 64;

// How often a sleeper looks whether its partner still lives.
constexpr std::chrono::milliseconds kLook{200};

static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

// From the rank whose memory it lies in to one partner. Counters only grow.
struct Ring {
  alignas(kLine) std::atomic<std::uint64_t> filled;   // slots, by the owner
  alignas(kLine) std::atomic<std::uint64_t> emptied;  // slots, by the partner
  // The owner sleeps on it; the partner rings it after it filled or emptied a slot.
  alignas(kLine) std::atomic<std::uint32_t> bell;
  std::atomic<std::uint32_t> sleeping;
  alignas(4096) std::byte slots[kSlots][kSlotBytes];
};

struct Header {
  std::uint64_t nonce;
};

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

// Not std::atomic::wait(), whose sleepers are woken within their own process only.
void sleep_on(std::atomic<std::uint32_t>& bell, std::uint32_t seen) {
  const timespec limit{0, std::chrono::nanoseconds(kLook).count()};
  ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&bell), FUTEX_WAIT, seen, &limit, nullptr,
            0);
}

// Sequentially consistent, as is the sleeper's order of saying that it sleeps and looking at the
// bell once more: one of both sees the other.
void ring(Ring& sleeper) {
  sleeper.bell.fetch_add(1);
  if (sleeper.sleeping.load() != 0) {
    ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&sleeper.bell), FUTEX_WAKE, INT_MAX,
              nullptr, nullptr, 0);
  }
}

std::size_t memory_bytes(std::size_t rings) { return 4096 + rings * sizeof(Ring); }

std::size_t bit_of(int rank, int partner) {
  return static_cast<std::size_t>(std::countr_zero(static_cast<unsigned>(rank ^ partner)));
}

}  // namespace

// A mapping of a rank's rings.
struct Neighbours::Memory {
  Memory(int fd, std::size_t rings) : descriptor(fd), size(memory_bytes(rings)) {
    if (fd < 0) return;
    void* mapped = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped != MAP_FAILED) bytes = static_cast<std::byte*>(mapped);
  }
  ~Memory() {
    if (bytes != nullptr) ::munmap(bytes, size);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  Header& header() const { return *reinterpret_cast<Header*>(bytes); }
  Ring& ring(std::size_t index) const { return reinterpret_cast<Ring*>(bytes + 4096)[index]; }

  Descriptor descriptor;
  std::size_t size;
  std::byte* bytes = nullptr;  // null: could not be had
};

struct Neighbours::Partner {
  Partner(int memory_fd, std::size_t rings, int process_fd)
      : memory(memory_fd, rings), process(process_fd) {}

  bool has_ended() const {
    pollfd end{process.get(), POLLIN, 0};
    return ::poll(&end, 1, 0) > 0;
  }

  Memory memory;
  Descriptor process;  // readable once the process has ended
};

Neighbours::Neighbours(int rank, int world) : rank_(rank) {
  const auto bits = static_cast<std::size_t>(
      std::countr_zero(std::bit_floor(static_cast<unsigned>(std::max(world, 1)))));
  partners_.resize(bits);
  const int fd = ::memfd_create("reprise", MFD_CLOEXEC);
  // Pages are taken now: a limit met later would end the process without a word.
  if (fd >= 0 && ::posix_fallocate(fd, 0, static_cast<off_t>(memory_bytes(bits))) != 0) {
    ::close(fd);
    mine_ = std::make_unique<Memory>(-1, bits);
    return;
  }
  mine_ = std::make_unique<Memory>(fd, bits);
  if (mine_->bytes == nullptr) return;
  std::random_device random;
  mine_->header().nonce = std::uint64_t{random()} << 32 | random();
}

Neighbours::~Neighbours() = default;

NeighbourCard Neighbours::card() const {
  NeighbourCard card;
  struct stat space {};
  std::ifstream boot("/proc/sys/kernel/random/boot_id");
  boot.read(card.machine.data(), static_cast<std::streamsize>(card.machine.size() - 1));
  if (mine_->bytes == nullptr || boot.gcount() == 0 || ::stat("/proc/self/ns/pid", &space) != 0) {
    return card;
  }
  card.pid_namespace = space.st_ino;
  card.pid = ::getpid();
  card.memory = mine_->descriptor.get();
  card.nonce = mine_->header().nonce;
  return card;
}

std::vector<std::uint8_t> Neighbours::open(std::span<const NeighbourCard> cards) {
  const NeighbourCard here = card();
  std::vector<std::uint8_t> opened(partners_.size());
  for (std::size_t bit = 0; bit < partners_.size(); ++bit) {
    const auto rank = static_cast<std::size_t>(rank_ ^ (1 << bit));
    if (rank >= cards.size()) continue;
    const NeighbourCard& there = cards[rank];
    if (here.memory < 0 || there.memory < 0 || there.machine != here.machine ||
        there.pid_namespace != here.pid_namespace) {
      continue;
    }
    const std::string path =
        "/proc/" + std::to_string(there.pid) + "/fd/" + std::to_string(there.memory);
    auto partner = std::make_unique<Partner>(
        ::open(path.c_str(), O_RDWR | O_CLOEXEC), partners_.size(),
        static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(there.pid), 0)));
    struct stat file {};
    if (partner->memory.bytes == nullptr || partner->process.get() < 0 ||
        ::fstat(partner->memory.descriptor.get(), &file) != 0 ||
        static_cast<std::size_t>(file.st_size) != partner->memory.size ||
        partner->memory.header().nonce != there.nonce) {
      continue;
    }
    partners_[bit] = std::move(partner);
    opened[bit] = 1;
  }
  return opened;
}

void Neighbours::close(std::size_t bit) { partners_.at(bit).reset(); }

bool Neighbours::has(int partner) const {
  if (!std::has_single_bit(static_cast<unsigned>(rank_ ^ partner))) return false;
  const std::size_t bit = bit_of(rank_, partner);
  return bit < partners_.size() && partners_[bit] != nullptr;
}

bool Neighbours::has_ended(int partner) const {
  return partners_.at(bit_of(rank_, partner))->has_ended();
}

void Neighbours::exchange(int partner, std::span<const std::byte> out, std::size_t in_bytes,
                          const Arrived& arrived, std::chrono::milliseconds patience) {
  const std::size_t bit = bit_of(rank_, partner);
  const Partner& there = *partners_.at(bit);
  Ring& outward = mine_->ring(bit);
  Ring& inward = there.memory.ring(bit);
  std::size_t sent = 0;
  std::size_t received = 0;
  auto moved_last = std::chrono::steady_clock::now();

  const auto send = [&] {
    const std::uint64_t slot = outward.filled.load(std::memory_order_relaxed);
    if (sent == out.size() || slot - outward.emptied.load(std::memory_order_acquire) >= kSlots) {
      return false;
    }
    const std::size_t size = std::min(kSlotBytes, out.size() - sent);
    std::memcpy(outward.slots[slot % kSlots], out.data() + sent, size);
    sent += size;
    outward.filled.store(slot + 1, std::memory_order_release);
    ring(inward);
    return true;
  };
  const auto receive = [&] {
    const std::uint64_t slot = inward.emptied.load(std::memory_order_relaxed);
    if (received == in_bytes || inward.filled.load(std::memory_order_acquire) == slot) return false;
    const std::size_t size = std::min(kSlotBytes, in_bytes - received);
    arrived(received, {inward.slots[slot % kSlots], size});
    received += size;
    inward.emptied.store(slot + 1, std::memory_order_release);
    ring(inward);
    return true;
  };

  bool has_ended = false;
  while (sent < out.size() || received < in_bytes) {
    const std::uint32_t seen = outward.bell.load();
    bool moved = false;
    while (send()) moved = true;
    while (receive()) moved = true;
    if (moved) {
      moved_last = std::chrono::steady_clock::now();
      continue;
    }
    if (has_ended) throw std::runtime_error("its process has ended");
    has_ended = there.has_ended();
    if (has_ended) continue;  // what it sent before is looked for once more
    if (std::chrono::steady_clock::now() - moved_last > patience) {
      throw std::runtime_error("nothing came from it");
    }
    outward.sleeping.store(1);
    sleep_on(outward.bell, seen);
    outward.sleeping.store(0);
  }
}

}  // namespace reprise::engine
