// Ranks of one machine find each other, and who cannot is left out.
#include "engine/distributed/gather_crew.h"

#include "ckpt/base/error.h"
#include "ckpt/base/sha256.h"
#include "ckpt/container/hdf5.h"
#include "tests/ckpt/container/sample.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <barrier>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace reprise::engine {
namespace {

using ::testing::HasSubstr;

// Ranks as threads, which show each other what they gather.
class Threads {
 public:
  explicit Threads(int world) : world_(world), meeting_(world), shown_(ranks()) {}

  class Rank : public Communicator {
   public:
    Rank(Threads& threads, int rank) : threads_(threads), rank_(rank) {}
    int rank() const override { return rank_; }
    int world() const override { return threads_.world_; }
    void exchange(int, std::span<const std::byte>, std::span<std::byte>) override { refuse(); }
    void exchange_pieces(int, std::span<const std::byte>, std::size_t, const Arrived&) override {
      refuse();
    }
    void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
      threads_.shown_[static_cast<std::size_t>(rank_)] = mine;
      barrier();
      for (std::size_t i = 0; i < threads_.shown_.size(); ++i) {
        std::ranges::copy(threads_.shown_[i], all.subspan(i * mine.size()).begin());
      }
      barrier();
    }
    void broadcast(std::span<std::byte> bytes, int root) override {
      std::vector<std::byte> all(bytes.size() * threads_.ranks());
      all_gather(bytes, all);
      std::ranges::copy(
          std::span(all).subspan(bytes.size() * static_cast<std::size_t>(root), bytes.size()),
          bytes.begin());
      // The first thing that is told is where to meet, which means nothing elsewhere.
      if (threads_.elsewhere_(rank_) && !astray_) bytes[0] ^= std::byte{1};
      astray_ = true;
    }
    void barrier() override { threads_.meeting_.arrive_and_wait(); }
    std::string road() const override { return "between threads"; }
    void abandon(const std::string&) noexcept override {}

   private:
    static void refuse() { fail(Code::kInternal, "not here"); }
    Threads& threads_;
    int rank_;
    bool astray_ = false;
  };

  std::vector<std::unique_ptr<container::Crew>> gather(const std::function<bool(int)>& elsewhere =
                                                           [](int) { return false; }) {
    elsewhere_ = elsewhere;
    std::vector<std::unique_ptr<container::Crew>> crews(ranks());
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < world_; ++rank) {
      threads.emplace_back([this, rank, &crews] {
        Rank here(*this, rank);
        crews[static_cast<std::size_t>(rank)] = gather_crew(here);
      });
    }
    threads.clear();
    return crews;
  }

 private:
  std::size_t ranks() const { return static_cast<std::size_t>(world_); }
  int world_;
  std::barrier<> meeting_;
  std::vector<std::span<const std::byte>> shown_;
  std::function<bool(int)> elsewhere_;
};

constexpr std::chrono::seconds kSoon{5};

// More tensors than ranks, so that each has a share of them.
Document state() {
  Document document;
  document.root = document.arena->dict();
  for (unsigned i = 0; i < 40; ++i) {
    const Tensor tensor = container::patterned(DType::kFloat32, {1000 + i}, i);
    document.root.as_dict().append(*document.arena, fmt::format("weight{}", i),
                                   document.arena->tensor(tensor));
  }
  return document;
}

// That each member has its number and its end of the link to it: a file that they write together
// has the bits of one that nobody shared, and each that fails is named by its rank.
void expect_linked(container::Crew& first, const std::vector<container::Crew*>& members,
                   const std::vector<int>& ranks, std::size_t failing) {
  ASSERT_EQ(first.number(), 0U);
  ASSERT_EQ(first.size(), members.size() + 1);
  for (std::size_t i = 0; i < members.size(); ++i) {
    ASSERT_NE(members[i], nullptr);
    EXPECT_EQ(members[i]->number(), i + 1);
    EXPECT_EQ(members[i]->size(), first.size());
    EXPECT_EQ(members[i]->leader().name(), "rank 0");
  }
  // `other`: a member that has another state in hand.
  const auto write = [&](const std::filesystem::path& path, std::optional<std::size_t> other) {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < members.size(); ++i) {
      threads.emplace_back([&, i] {
        const bool wrote = container::write_share(state(), {members[i], i == other ? 8U : 7U}, 1);
        // Of a file that fails, the others may have written their shares by then.
        if (!other || i == other) {
          EXPECT_EQ(wrote, !other);
        }
      });
    }
    container::write_hdf5(path, state(), {.crew = container::CrewWork{&first, 7}});
  };
  const container::ScratchFolder folder;
  write(folder / "together.h5", std::nullopt);
  container::write_hdf5(folder / "alone.h5", state());
  EXPECT_EQ(sha256_file(folder / "together.h5"), sha256_file(folder / "alone.h5"));
  try {
    write(folder / "other.h5", failing);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr(fmt::format("one: rank {}: it has state", ranks[failing])));
  }
}

TEST(GatherCrew, RanksOfOneMachineAreNumberedInTheirOrder) {
  for (const int world : {2, 4, 16}) {
    SCOPED_TRACE(world);
    const auto crews = Threads(world).gather();
    std::vector<container::Crew*> members;
    std::vector<int> ranks;
    for (std::size_t i = 1; i < crews.size(); ++i) {
      members.push_back(crews[i].get());
      ranks.push_back(static_cast<int>(i));
    }
    ASSERT_NE(crews[0], nullptr);
    expect_linked(*crews[0], members, ranks, members.size() / 2);
  }
}

TEST(GatherCrew, WhoeverCannotReachTheFirstIsLeftOut) {
  const auto crews = Threads(4).gather([](int rank) { return rank == 2; });
  EXPECT_EQ(crews[2], nullptr);
  ASSERT_NE(crews[0], nullptr);
  expect_linked(*crews[0], {crews[1].get(), crews[3].get()}, {1, 3}, 1);
}

TEST(GatherCrew, AFirstRankOnAMachineOfItsOwnHasNone) {
  const auto crews = Threads(4).gather([](int rank) { return rank != 0; });
  for (const auto& crew : crews) EXPECT_EQ(crew, nullptr);
}

TEST(GatherCrew, ARunOfOneProcessHasNone) { EXPECT_EQ(gather_crew(*single_process()), nullptr); }

TEST(GatherCrew, TheEndOfARankClosesItsLink) {
  auto crews = Threads(2).gather();
  crews[0].reset();
  EXPECT_TRUE(crews[1]->leader().has_news());
  EXPECT_THROW(crews[1]->leader().receive(kSoon), Error);
}

}  // namespace
}  // namespace reprise::engine
