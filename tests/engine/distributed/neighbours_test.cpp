// Memory shared by processes of one machine: every byte arrives in order, and who is gone is
// missed.
#include "engine/distributed/neighbours.h"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstdlib>

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace reprise::engine {
namespace {

using std::chrono::milliseconds;

// Ranks as processes of this one, who show each other their cards through pipes.
class Ranks {
 public:
  using Work = std::function<bool(int rank, Neighbours& neighbours)>;

  explicit Ranks(int world) : world_(world), pipes_(static_cast<std::size_t>(world * world)) {
    for (auto& pipe : pipes_) {
      if (::pipe(pipe.data()) != 0) throw std::runtime_error("no pipe");
    }
  }

  // The exit status of each rank: 0 where `work` returned true.
  std::vector<int> run(const Work& work) {
    std::vector<pid_t> children;
    for (int rank = 0; rank < world_; ++rank) {
      const pid_t child = ::fork();
      if (child == 0) ::_exit(be(rank, work));
      children.push_back(child);
    }
    std::vector<int> statuses;
    for (const pid_t child : children) {
      int status = 0;
      ::waitpid(child, &status, 0);
      statuses.push_back(status);
    }
    return statuses;
  }

 private:
  std::array<int, 2>& pipe(int from, int to) {
    return pipes_[static_cast<std::size_t>(from * world_ + to)];
  }

  template <typename T>
  void gather(int rank, const T& mine, std::vector<T>& all) {
    for (int to = 0; to < world_; ++to) {
      if (::write(pipe(rank, to)[1], &mine, sizeof mine) != sizeof mine) {
        throw std::runtime_error("pipe");
      }
    }
    for (int from = 0; from < world_; ++from) {
      T& one = all[static_cast<std::size_t>(from)];
      if (::read(pipe(from, rank)[0], &one, sizeof one) != sizeof one) {
        throw std::runtime_error("pipe");
      }
    }
  }

  int be(int rank, const Work& work) {
    try {
      Neighbours neighbours(rank, world_);
      std::vector<NeighbourCard> cards(static_cast<std::size_t>(world_));
      gather(rank, neighbours.card(), cards);
      const std::vector<std::uint8_t> opened = neighbours.open(cards);
      if (std::ranges::count(opened, 0) != 0) return 3;
      // Nobody ends before all have opened.
      std::vector<int> ready(cards.size());
      gather(rank, 1, ready);
      return work(rank, neighbours) ? 0 : 1;
    } catch (const std::exception&) {
      return 4;
    }
  }

  int world_;
  std::vector<std::array<int, 2>> pipes_;
};

std::byte pattern(int rank, std::size_t round, std::size_t i) {
  return static_cast<std::byte>(
      (static_cast<std::size_t>(rank) * 131 + round * 31 + i * 7 + (i >> 11)) & 0xff);
}

TEST(Neighbours, BytesArriveWholeAndInOrderInEverySize) {
  const std::vector<std::size_t> sizes{0, 1, 4096, 131072, 131073, 1048576, 5000001};
  const std::vector<int> statuses = Ranks(4).run([&](int rank, Neighbours& neighbours) {
    std::size_t round = 0;
    for (const std::size_t lower : sizes) {
      for (const std::size_t upper : sizes) {
        for (const int distance : {1, 2}) {
          const int partner = rank ^ distance;
          ++round;
          std::vector<std::byte> out(rank < partner ? lower : upper);
          for (std::size_t i = 0; i < out.size(); ++i) out[i] = pattern(rank, round, i);
          const std::size_t expected = rank < partner ? upper : lower;
          std::size_t next = 0;
          bool equal = neighbours.has(partner);
          neighbours.exchange(
              partner, out, expected,
              [&](std::size_t offset, std::span<const std::byte> piece) {
                equal = equal && offset == next;
                for (std::size_t i = 0; i < piece.size(); ++i) {
                  equal = equal && piece[i] == pattern(partner, round, offset + i);
                }
                next += piece.size();
              },
              milliseconds(60000));
          if (!equal || next != expected) return false;
        }
      }
    }
    return !neighbours.has(rank ^ 3);
  });
  EXPECT_EQ(statuses, std::vector<int>(4, 0));
}

TEST(Neighbours, APartnerThatIsKilledIsMissedWithinASecond) {
  const std::vector<int> statuses = Ranks(2).run([&](int rank, Neighbours& neighbours) {
    if (rank == 1) ::raise(SIGKILL);
    const auto start = std::chrono::steady_clock::now();
    try {
      neighbours.exchange(
          1, {}, 1, [](auto...) {}, milliseconds(60000));
    } catch (const std::runtime_error&) {
      return std::chrono::steady_clock::now() - start < std::chrono::seconds(2);
    }
    return false;
  });
  EXPECT_EQ(statuses[0], 0);
}

TEST(Neighbours, WhatAPartnerSentBeforeItEndedArrives) {
  const std::vector<int> statuses = Ranks(2).run([&](int rank, Neighbours& neighbours) {
    const std::vector<std::byte> sent(300000, std::byte{7});
    if (rank == 1) {
      neighbours.exchange(
          0, sent, 0, [](auto...) {}, milliseconds(60000));
      return true;
    }
    ::usleep(300000);
    std::vector<std::byte> received;
    neighbours.exchange(
        1, {}, sent.size(),
        [&](std::size_t, std::span<const std::byte> piece) {
          received.insert(received.end(), piece.begin(), piece.end());
        },
        milliseconds(60000));
    return received == sent;
  });
  EXPECT_EQ(statuses, std::vector<int>(2, 0));
}

TEST(Neighbours, ASilentPartnerIsNotWaitedForLongerThanAsked) {
  const std::vector<int> statuses = Ranks(2).run([&](int rank, Neighbours& neighbours) {
    if (rank == 1) {
      ::usleep(2000000);
      return true;
    }
    try {
      neighbours.exchange(
          1, {}, 1, [](auto...) {}, milliseconds(300));
    } catch (const std::runtime_error& error) {
      return std::string(error.what()).find("nothing came") != std::string::npos;
    }
    return false;
  });
  EXPECT_EQ(statuses, std::vector<int>(2, 0));
}

TEST(Neighbours, NoMemoryIsTakenForAPartnerThatIsNot) {
  Neighbours here(0, 2);
  const NeighbourCard mine = here.card();
  ASSERT_GE(mine.memory, 0);
  const auto opens = [&](const std::function<void(NeighbourCard&)>& change) {
    NeighbourCard card = mine;
    change(card);
    return here.open(std::vector{mine, card})[0] == 1;
  };
  EXPECT_TRUE(opens([](NeighbourCard&) {}));
  EXPECT_FALSE(opens([](NeighbourCard& card) { card.nonce ^= 1; }));
  EXPECT_FALSE(opens([](NeighbourCard& card) { card.machine[0] ^= 1; }));
  EXPECT_FALSE(opens([](NeighbourCard& card) { card.pid_namespace ^= 1; }));
  EXPECT_FALSE(opens([](NeighbourCard& card) { card.pid = 0; }));
  EXPECT_FALSE(opens([](NeighbourCard& card) { card.memory = -1; }));
  EXPECT_FALSE(opens([](NeighbourCard& card) { card.memory = 0; })) << "standard input";
}

}  // namespace
}  // namespace reprise::engine
