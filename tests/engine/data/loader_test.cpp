#include "engine/data/loader.h"

#include "ckpt/base/error.h"
#include "engine/data/open.h"

#include <gmock/gmock.h>

#include <atomic>
#include <bit>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>

namespace reprise::engine {
namespace {

using testing::HasSubstr;

// 6 x 4 grey pictures whose pixels and target follow from the id; counts what is read and can
// fail, wait and so on for some ids.
class FakeSet : public Dataset {
 public:
  std::uint64_t size() const override { return 1000; }
  Task task() const override { return Task::kRegression; }
  const std::vector<std::string>& class_names() const override { return none_; }
  const std::vector<std::string>& target_names() const override { return targets_; }
  MirrorRule mirror_rule() const override { return MirrorRule::kNegates; }
  ImageSize native_size() const override { return {4, 6}; }
  int channels() const override { return 1; }
  Normalisation normalisation() const override { return {}; }
  Sample read(std::uint64_t id) const override {
    {
      const std::lock_guard lock(mutex_);
      read_.insert(id);
    }
    if (bad_.contains(id)) {
      fail(Code::kCorrupt, "sample {} is bad", id);
    }
    std::this_thread::sleep_for(pause_);
    if (slow_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(id % 3));
    }
    Sample sample{make_image(4, 6, 1), -1, {static_cast<float>(id) + 1, 2}};
    for (std::size_t i = 0; i < sample.image.pixels.size(); ++i) {
      sample.image.pixels[i] = static_cast<std::uint8_t>(id * 7 + i * 3);
    }
    return sample;
  }
  Sample target(std::uint64_t id) const override { return {{}, -1, {static_cast<float>(id), 2}}; }
  std::string name(std::uint64_t id) const override { return std::to_string(id); }
  Digest digest() const override { return {}; }
  const std::vector<BadSample>& bad_samples() const override { return no_bad_; }

  mutable std::mutex mutex_;
  mutable std::set<std::uint64_t> read_;
  std::set<std::uint64_t> bad_;
  bool slow_ = false;
  std::chrono::milliseconds pause_{0};

 private:
  std::vector<std::string> none_, targets_{"angle", "speed"};
  std::vector<BadSample> no_bad_;
};

View small_view(int side = 4) {
  View view;
  view.size = {side, side};
  view.channels = 1;
  view.augmentation.crop_padding = 1;
  view.augmentation.mirror = 0.5F;
  view.augmentation.jitter = 0.8F;
  view.augmentation.brightness = 0.4F;
  view.augmentation.contrast = 0.4F;
  return view;
}

// The batches of a sampler, `count` of them.
BatchPlan plan_of(std::uint64_t seed, std::uint64_t samples, std::uint64_t batch, int count,
                  Cursor from = {}) {
  return [sampler = TrainSampler(seed, samples, batch, from),
          left = count]() mutable -> std::optional<BatchRequest> {
    if (left-- == 0) {
      return std::nullopt;
    }
    auto step = sampler.next();
    return BatchRequest{step.epoch, std::move(step.ids), step.after, 0};
  };
}

// Everything a run sees, as one digest a batch.
std::vector<std::string> digests_of(Loader& loader) {
  std::vector<std::string> digests;
  while (const Batch* batch = loader.next()) {
    Sha256 hash;
    hash.update(std::as_bytes(std::span(batch->ids)));
    hash.update(std::as_bytes(std::span(batch->labels)));
    hash.update(std::as_bytes(std::span(batch->values)));
    for (const std::span<float> view : batch->views) {
      hash.update(std::as_bytes(view));
    }
    digests.push_back(fmt::format("{} {} {}", batch->number, batch->epoch, hash.finish().hex()));
  }
  return digests;
}

std::vector<std::string> run(const Dataset& set, unsigned workers, unsigned prefetch,
                             BatchPlan plan) {
  LoaderOptions options;
  options.workers = workers;
  options.prefetch = prefetch;
  options.seed = 3;
  Loader loader(set, {small_view(), small_view(3)}, 16, std::move(plan), options);
  return digests_of(loader);
}

TEST(Loader, BitsDoNotDependOnWorkersOrPrefetch) {
  FakeSet set;
  const auto expected = run(set, 0, 1, plan_of(1, 100, 16, 9));
  ASSERT_EQ(expected.size(), 9U);
  set.slow_ = true;
  for (const unsigned workers : {1U, 2U, 4U, 9U}) {
    for (const unsigned prefetch : {0U, 1U, 3U, 20U}) {
      EXPECT_EQ(run(set, workers, prefetch, plan_of(1, 100, 16, 9)), expected)
          << workers << " workers, prefetch " << prefetch;
    }
  }
}

TEST(Loader, ResumingReadsNoSampleThatIsBehindTheCursor) {
  FakeSet whole;
  const auto expected = run(whole, 2, 2, plan_of(1, 160, 16, 10));
  // The cursor after four batches, as a checkpoint has it.
  TrainSampler sampler(1, 160, 16);
  std::set<std::uint64_t> behind;
  Cursor cursor;
  for (int i = 0; i < 4; ++i) {
    const auto step = sampler.next();
    behind.insert(step.ids.begin(), step.ids.end());
    cursor = step.after;
  }
  FakeSet resumed;
  auto rest = run(resumed, 2, 2, plan_of(1, 160, 16, 6, cursor));
  ASSERT_EQ(rest.size(), 6U);
  for (std::size_t i = 0; i < rest.size(); ++i) {
    // The same but for the count of batches since the start.
    EXPECT_EQ(rest[i].substr(rest[i].find(' ')), expected[i + 4].substr(expected[i + 4].find(' ')));
  }
  for (const std::uint64_t id : behind) {
    EXPECT_FALSE(resumed.read_.contains(id)) << id;
  }
  EXPECT_EQ(resumed.read_.size(), 96U);
}

TEST(Loader, PrefetchIsBounded) {
  FakeSet set;
  std::atomic<int> planned = 0;
  LoaderOptions options;
  options.workers = 2;
  options.prefetch = 3;
  Loader loader(
      set, {small_view()}, 4,
      [&]() -> std::optional<BatchRequest> {
        ++planned;
        return BatchRequest{0, {1, 2, 3, 4}, {}, 0};
      },
      options);
  loader.next();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(planned, 4);  // the one in hand and three ahead
}

TEST(Loader, AnErrorSurfacesAtItsBatchAndEndsTheLoader) {
  for (const unsigned workers : {0U, 1U, 4U}) {
    FakeSet set;
    set.bad_ = {21, 22, 30};
    int next = 0;
    LoaderOptions options;
    options.workers = workers;
    options.prefetch = 4;
    Loader loader(
        set, {small_view()}, 10,
        [&]() -> std::optional<BatchRequest> {
          std::vector<std::uint64_t> ids;
          for (int i = 0; i < 10; ++i) {
            ids.push_back(static_cast<std::uint64_t>(next++));
          }
          return BatchRequest{0, std::move(ids), {}, 0};
        },
        options);
    EXPECT_NE(loader.next(), nullptr);
    EXPECT_NE(loader.next(), nullptr);
    try {
      loader.next();
      FAIL() << "batch 2 holds a bad sample";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kCorrupt);
      EXPECT_THAT(error.what(), HasSubstr("sample 21 is bad")) << workers;
    }
    EXPECT_EQ(loader.next(), nullptr);
    EXPECT_EQ(loader.next(), nullptr);
  }
}

TEST(Loader, AnErrorOfThePlanSurfacesAfterTheBatchesBeforeIt) {
  for (const unsigned workers : {0U, 2U}) {
    FakeSet set;
    int calls = 0;
    LoaderOptions options;
    options.workers = workers;
    Loader loader(
        set, {small_view()}, 2,
        [&]() -> std::optional<BatchRequest> {
          if (++calls == 3) {
            fail(Code::kUsage, "no third batch");
          }
          return BatchRequest{0, {1, 2}, {}, 0};
        },
        options);
    EXPECT_NE(loader.next(), nullptr);
    EXPECT_NE(loader.next(), nullptr);
    EXPECT_THROW(loader.next(), Error);
    EXPECT_EQ(loader.next(), nullptr);
  }
}

TEST(Loader, StopsPromptlyInTheMiddle) {
  FakeSet set;
  set.pause_ = std::chrono::milliseconds(20);
  {
    LoaderOptions options;
    options.workers = 4;
    options.prefetch = 10;
    Loader loader(set, {small_view()}, 500, plan_of(1, 1000, 500, 1000), options);
  }
  EXPECT_LT(set.read_.size(), 500U);  // of the 1000 that five seconds bring
}

TEST(Loader, PaddingIsZeroAndReadsNothing) {
  FakeSet set;
  LoaderOptions options;
  bool given = false;
  Loader loader(
      set, {small_view()}, 4,
      [&]() -> std::optional<BatchRequest> {
        return std::exchange(given, true) ? std::nullopt
                                          : std::optional(BatchRequest{0, {5, kPadding}, {}, 0});
      },
      options);
  const Batch* batch = loader.next();
  ASSERT_NE(batch, nullptr);
  EXPECT_THAT(batch->views[0].subspan(16), testing::Each(0.0F));
  EXPECT_THAT(std::span(batch->values).subspan(2), testing::Each(0.0F));
  EXPECT_EQ(batch->labels[1], -1);
  EXPECT_EQ(set.read_, std::set<std::uint64_t>{5});
}

TEST(Loader, AMirroredViewNegatesTheTarget) {
  FakeSet set;
  View view = small_view();
  view.augmentation = {};
  view.augmentation.mirror = 1;
  LoaderOptions options;
  options.workers = 0;
  Loader loader(set, {view}, 4, plan_of(1, 8, 4, 1), options);
  const Batch* batch = loader.next();
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(batch->values[2 * i], -static_cast<float>(batch->ids[i]) - 1);
    EXPECT_EQ(batch->values[2 * i + 1], -2);
  }
}

TEST(Loader, ARequestCanChangeTheSideOfTheFirstView) {
  FakeSet set;
  LoaderOptions options;
  options.largest_side = 8;
  int side = 2;
  Loader loader(
      set, {small_view(), small_view(3)}, 2,
      [&]() -> std::optional<BatchRequest> {
        side += 2;
        return side > 8 ? std::nullopt : std::optional(BatchRequest{0, {1, 2}, {}, side});
      },
      options);
  for (const int expected : {4, 6, 8}) {
    const Batch* batch = loader.next();
    ASSERT_NE(batch, nullptr);
    EXPECT_EQ(batch->sizes[0], (ImageSize{expected, expected}));
    EXPECT_EQ(batch->views[0].size(), static_cast<std::size_t>(2 * expected * expected));
    EXPECT_EQ(batch->sizes[1], (ImageSize{3, 3}));
  }
  EXPECT_EQ(loader.next(), nullptr);
}

TEST(Loader, UsesTheMemoryItIsGivenAndAlignsViews) {
  FakeSet set;
  std::vector<std::vector<float>> memory;
  LoaderOptions options;
  options.prefetch = 2;
  options.allocate = [&](std::size_t floats) {
    memory.emplace_back(floats);
    return std::span<float>(memory.back());
  };
  Loader loader(set, {small_view()}, 2, plan_of(1, 10, 2, 20), options);
  EXPECT_EQ(memory.size(), 3U);
  while (const Batch* batch = loader.next()) {
    const bool inside = std::any_of(memory.begin(), memory.end(), [&](auto& piece) {
      return batch->views[0].data() >= piece.data() &&
             batch->views[0].data() + batch->views[0].size() <= piece.data() + piece.size();
    });
    EXPECT_TRUE(inside);
  }
  LoaderOptions own;
  Loader aligned(set, {small_view(5), small_view(3)}, 3, plan_of(1, 10, 3, 1), own);
  for (const std::span<float> view : aligned.next()->views) {
    EXPECT_EQ(std::bit_cast<std::uintptr_t>(view.data()) % 64, 0U);
  }
}

TEST(Loader, AViewWithoutSizeIsAUsageError) {
  FakeSet set;
  EXPECT_THROW(Loader(set, {View{}}, 2, plan_of(1, 10, 2, 1), {}), Error);
}

}  // namespace
}  // namespace reprise::engine
