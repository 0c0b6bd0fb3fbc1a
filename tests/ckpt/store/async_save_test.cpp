#include "ckpt/store/async_save.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/container/tensor_names.h"
#include "ckpt/store/save.h"
#include "ckpt/store/staging.h"
#include "tests/ckpt/store/sample_checkpoint.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace reprise::store {
namespace {

// Weights that the test goes on changing, as an optimizer does.
struct Weights {
  std::shared_ptr<std::vector<float>> values =
      std::make_shared<std::vector<float>>(5'000'000, 1.0F);

  Checkpoint checkpoint(int number) const {
    Checkpoint c = sample::model(number, 1, 0.5);
    const auto storage = borrowed_storage(std::as_bytes(std::span(*values)), values);
    c.model.append("live", Tensor::contiguous(DType::kFloat32, {5'000'000}, storage));
    c.model.append("tied", Tensor::contiguous(DType::kFloat32, {5'000'000}, storage));
    c.model.append("transposed", Tensor::make(DType::kFloat32, {3, 2}, {1, 3}, 7, storage));
    return c;
  }
};

TEST(AsyncSave, FileEqualsASynchronousSave) {
  const sample::Scratch sync_folder;
  const sample::Scratch async_folder;
  const Weights weights;
  const std::filesystem::path expected = save(weights.checkpoint(1), sync_folder.path()).path;
  AsyncSaver saver;
  std::filesystem::path written;
  saver.submit(weights.checkpoint(1), [&](const Checkpoint& snapshot) {
    written = save(snapshot, async_folder.path()).path;
  });
  saver.finish();
  EXPECT_EQ(written.filename(), expected.filename());
  EXPECT_EQ(sha256_file(written), sha256_file(expected));
}

TEST(AsyncSave, ChangesAfterSubmitAreNotSaved) {
  const Weights weights;
  const Digest before = weights.checkpoint(1).model.find("live")->digest();
  AsyncSaver saver;
  std::atomic<bool> changed{false};
  Digest seen;
  saver.submit(weights.checkpoint(1), [&](const Checkpoint& snapshot) {
    while (!changed) std::this_thread::yield();
    seen = snapshot.model.find("live")->digest();
  });
  std::fill(weights.values->begin(), weights.values->end(), 2.0F);
  changed = true;
  saver.finish();
  EXPECT_EQ(seen, before);
}

TEST(AsyncSave, SavesHappenInOrderOneAtATime) {
  AsyncSaver saver;
  std::vector<int> order;
  std::atomic<int> running{0};
  for (int i = 0; i < 20; ++i) {
    saver.submit(sample::model(i, 1, 0.5), [&, i](const Checkpoint& snapshot) {
      EXPECT_EQ(++running, 1);
      EXPECT_EQ(snapshot.uuid, sample::uuid(i));
      order.push_back(i);
      --running;
    });
  }
  saver.finish();
  ASSERT_EQ(order.size(), 20U);
  EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST(AsyncSave, FailureSurfacesAtTheNextCheckOnce) {
  AsyncSaver saver;
  saver.submit(sample::model(1, 1, 0.5), [](const Checkpoint&) { fail(Code::kIo, "disk full"); });
  while (saver.busy()) std::this_thread::yield();
  EXPECT_THROW(saver.check(), Error);
  EXPECT_NO_THROW(saver.check());
  EXPECT_NO_THROW(saver.finish());
}

TEST(AsyncSave, FailureSurfacesAtTheNextSubmitWhichIsNotStarted) {
  AsyncSaver saver;
  saver.submit(sample::model(1, 1, 0.5), [](const Checkpoint&) { fail(Code::kIo, "disk full"); });
  bool started = false;
  EXPECT_THROW(saver.submit(sample::model(2, 1, 0.5), [&](const Checkpoint&) { started = true; }),
               Error);
  saver.finish();
  EXPECT_FALSE(started);
  saver.submit(sample::model(3, 1, 0.5), [&](const Checkpoint&) { started = true; });
  saver.finish();
  EXPECT_TRUE(started);
}

TEST(AsyncSave, FailureSurfacesAtFinish) {
  AsyncSaver saver;
  saver.submit(sample::model(1, 1, 0.5),
               [](const Checkpoint&) { throw std::runtime_error("writer"); });
  EXPECT_THROW(saver.finish(), std::runtime_error);
}

TEST(AsyncSave, DestroyedWhileWritingItWaits) {
  std::atomic<bool> done{false};
  {
    AsyncSaver saver;
    saver.submit(sample::model(1, 1, 0.5), [&](const Checkpoint&) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      done = true;
    });
  }
  EXPECT_TRUE(done);
}

TEST(Staging, CopyEqualsTheOriginalAndIsIndependent) {
  const Weights weights;
  const Checkpoint original = weights.checkpoint(1);
  StagingBuffer buffer;
  const Checkpoint copy = buffer.copy(original, 2);
  const auto expected = container::name_tensors(original.to_document());
  const auto found = container::name_tensors(copy.to_document());
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].name, expected[i].name);
    EXPECT_EQ(found[i].tensor.digest(), expected[i].tensor.digest()) << found[i].name;
    EXPECT_NE(found[i].tensor.in_place().data(), expected[i].tensor.in_place().data());
  }
}

TEST(Staging, TiedTensorsAreCopiedOnce) {
  const Weights weights;
  StagingBuffer buffer;
  const Checkpoint copy = buffer.copy(weights.checkpoint(1), 1);
  EXPECT_EQ(copy.model.find("live")->in_place().data(), copy.model.find("tied")->in_place().data());
  EXPECT_EQ(copy.model.find("live")->storage(), copy.model.find("tied")->storage());
  EXPECT_LT(buffer.capacity_bytes(), 2 * weights.values->size() * sizeof(float));
}

TEST(Staging, WhatIsNotWantedTakesNoMemoryAndStaysTied) {
  const Weights weights;
  StagingBuffer buffer;
  const Checkpoint original = weights.checkpoint(1);
  const void* live = original.model.find("live")->in_place().data();
  const Checkpoint copy = buffer.copy(
      original, 1, [&](const Tensor& tensor) { return tensor.in_place().data() != live; });
  EXPECT_LT(buffer.capacity_bytes(), weights.values->size() * sizeof(float));
  const Tensor& absent = *copy.model.find("live");
  EXPECT_EQ(absent.shape(), original.model.find("live")->shape());
  EXPECT_EQ(absent.storage(), copy.model.find("tied")->storage());
  EXPECT_THROW(static_cast<void>(absent.digest()), Error);
  EXPECT_EQ(copy.model.find("transposed")->digest(), original.model.find("transposed")->digest());
}

TEST(Staging, BufferIsReused) {
  const Weights weights;
  StagingBuffer buffer;
  const std::byte* first =
      buffer.copy(weights.checkpoint(1), 1).model.find("live")->in_place().data();
  const std::byte* second =
      buffer.copy(weights.checkpoint(2), 1).model.find("live")->in_place().data();
  EXPECT_EQ(first, second);
}

TEST(Staging, SharedNodesOfTheOptimizerStayShared) {
  Checkpoint c = sample::model(1, 1, 0.5);
  const Value betas =
      c.optimizer.as_dict().get("param_groups").as_sequence().items[0].as_dict().get("betas");
  c.optimizer.as_dict().set(*c.arena, "again", betas);
  StagingBuffer buffer;
  const Checkpoint copy = buffer.copy(c, 1);
  const Value of_group =
      copy.optimizer.as_dict().get("param_groups").as_sequence().items[0].as_dict().get("betas");
  EXPECT_EQ(of_group.identity(), copy.optimizer.as_dict().get("again").identity());
  EXPECT_NE(of_group.identity(), betas.identity());
}

}  // namespace
}  // namespace reprise::store
