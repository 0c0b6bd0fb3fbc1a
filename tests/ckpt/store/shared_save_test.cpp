// A save that two processes share, as the training loop makes it.
#include "ckpt/store/shared_save.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/store/async_save.h"
#include "ckpt/store/save.h"
#include "tests/ckpt/store/sample_checkpoint.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <thread>

namespace reprise::store {
namespace {

constexpr std::int64_t kLarge = 3'000'000;

// A state of `tensors` x 12 MB, tied ones and optimizer state among them.
Checkpoint state(int number, int tensors = 4) {
  Checkpoint c = sample::model(number, 1, 0.5);
  for (int i = 0; i < tensors; ++i) {
    std::vector<std::byte> bytes(kLarge * sizeof(float), static_cast<std::byte>(i + 1));
    const Tensor tensor = Tensor::contiguous(DType::kFloat32, {kLarge}, owned_storage(bytes));
    c.model.append("w" + std::to_string(i), tensor);
    if (i == 1) c.model.append("tied", tensor);
    if (i == 2) c.optimizer.as_dict().set(*c.arena, "momentum", c.arena->tensor(tensor));
  }
  c.progress.emplace().update = static_cast<std::uint64_t>(number);
  return c;
}

struct Pair {
  Pair() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    std::vector<container::CrewLink> links;
    links.emplace_back(ends[0], "rank 1");
    first = std::make_unique<container::Crew>(std::move(links));
    second = std::make_unique<container::Crew>(1, 2, container::CrewLink(ends[1], "rank 0"));
  }
  std::unique_ptr<container::Crew> first, second;
};

TEST(SharedSave, SnapshotsOfSharesGiveTheFileOfOneProcess) {
  const sample::Scratch alone;
  const sample::Scratch together;
  Pair pair;
  AsyncSaver first;
  AsyncSaver second;
  for (int number = 1; number <= 3; ++number) {
    const Checkpoint checkpoint = state(number);
    const auto expected = save(checkpoint, alone.path()).path;
    std::filesystem::path written;
    std::uint64_t bytes = 0;
    const auto wanted = [&](const container::TensorShare& share, std::uint64_t& copied) {
      return [&](const Tensor& tensor) {
        if (share.has(tensor)) copied += tensor.size_bytes();
        return share.has(tensor);
      };
    };
    const auto mine = share_of(checkpoint, *pair.first);
    ASSERT_TRUE(mine);
    std::uint64_t by_first = 0;
    first.submit(
        checkpoint,
        [&](const Checkpoint& snapshot) {
          const SaveReport report = save(snapshot, together.path(), {.crew = pair.first.get()});
          written = report.path;
          bytes = report.bytes;
        },
        wanted(*mine, by_first));
    // Another process brings the same state at another place, and its own UUID.
    Checkpoint other = state(number);
    other.uuid = Uuid::random();
    const auto theirs = share_of(other, *pair.second);
    ASSERT_TRUE(theirs);
    std::uint64_t by_second = 0;
    second.submit(
        other, [&](const Checkpoint& snapshot) { EXPECT_TRUE(save_share(snapshot, *pair.second)); },
        wanted(*theirs, by_second));
    first.finish();
    second.finish();
    EXPECT_EQ(sha256_file(written), sha256_file(expected));
    EXPECT_EQ(bytes, std::filesystem::file_size(expected));
    EXPECT_EQ(by_first + by_second, mine->total_bytes());
    EXPECT_GE(std::min(by_first, by_second), 2 * kLarge * sizeof(float));
  }
}

TEST(SharedSave, ASmallStateIsSavedByTheFirstAlone) {
  Pair pair;
  EXPECT_FALSE(share_of(state(1, 2), *pair.first));
  EXPECT_FALSE(share_of(state(1, 2), *pair.second));
  EXPECT_TRUE(share_of(state(1, 3), *pair.second));
}

TEST(SharedSave, ALostCrewSharesNothingMore) {
  const sample::Scratch folder;
  Pair pair;
  pair.second.reset();
  EXPECT_THROW(save(state(1), folder.path(), {.crew = pair.first.get()}), Error);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_FALSE(share_of(state(1), *pair.first));
}

TEST(SharedSave, ATwinIsTheWorkOfOneProcess) {
  const sample::Scratch folder;
  Pair pair;
  EXPECT_THROW(save(state(1), folder.path(), {.pth_twin = true, .crew = pair.first.get()}), Error);
}

}  // namespace
}  // namespace reprise::store
