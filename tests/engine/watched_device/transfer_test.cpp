// What goes from the host to a device and back: batches from pinned memory that nobody overwrites
// too early, and of a state no more than is asked for.
#include "ckpt/store/staging.h"
#include "engine/data/loader.h"
#include "engine/data/open.h"
#include "engine/device/device.h"
#include "engine/device/pinned_memory.h"
#include "engine/evaluate/evaluate.h"
#include "engine/evaluate/features.h"
#include "engine/torch_bridge/fetch.h"
#include "engine/torch_bridge/tensor.h"
#include "tests/engine/shards/small_run.h"
#include "tests/engine/watched_device/watched_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

namespace reprise::engine {
namespace {

using testing::IsEmpty;

std::shared_ptr<const Dataset> digits() {
  OpenOptions open;
  open.max_samples = 37;  // not a multiple of the micro-batch
  return open_dataset("builtin:digits", Split::kValidation, open);
}

NetworkOptions small_network() {
  NetworkOptions network = small_vit().network;
  network.image_size = 32;
  network.patch_size = 8;
  // Masks would go to the device, too.
  network.dropout = 0;
  network.drop_path = 0;
  return network;
}

View square_view() {
  View view;
  view.size = {32, 32};
  return view;
}

// Three updates from a loader that fills the next buffer while the device may still read this one.
Digest learn_from_loader(const FloatMemory& memory) {
  const auto data = digits();
  const auto network = build_network(small_network());
  Weights weights = Weights::initialised(network->layout(), 42, watched_device());
  weights.require_gradients(true);
  const auto optimizer = make_optimizer(small_vit().optimizer, weights);
  WorkerPool pool(1);
  const auto alone = single_process();
  ShardedStepOptions options;
  options.plan.batch = 8;
  options.plan.shards = 2;
  ShardedStep step(options, network->layout(), watched_device(), pool, *alone);
  std::uint64_t planned = 0;
  const BatchPlan plan = [&]() -> std::optional<BatchRequest> {
    if (planned == 3) return std::nullopt;
    BatchRequest request;
    for (std::uint64_t i = 0; i < 8; ++i) request.ids.push_back(planned * 8 + i);
    ++planned;
    return request;
  };
  LoaderOptions loading;
  loading.workers = 1;
  loading.prefetch = 1;
  loading.allocate = memory;
  Loader loader(*data, {square_view()}, 8, plan, loading);
  const Objective objective({});
  std::uint64_t update = 0;
  while (const Batch* batch = loader.next()) {
    const TrainingBatch tensors = tensors_of(*batch, 3, watched_device());
    const StepResult& result =
        step.run(weights, update++, supervised(*network, weights, objective, tensors));
    StepOptions how;
    how.lr = 1e-3;
    optimizer->step(weights, result.gradient, how, pool);
  }
  return digest_of(weights, weights, *optimizer);
}

TEST(Transfer, BatchesComeFromPinnedMemoryAndStayUntilTheyHaveCome) {
  EXPECT_EQ(pinned_memory(c10::kCPU), nullptr);
  constexpr std::uint64_t kLabels = std::uint64_t{3} * 8 * sizeof(std::int64_t);
  take_bytes_from_pinned();
  const Digest waiting = learn_from_loader(nullptr);
  EXPECT_EQ(take_bytes_from_pinned(), kLabels);
  EXPECT_EQ(learn_from_loader(pinned_memory(watched_device())), waiting);
  EXPECT_EQ(take_bytes_from_pinned(), 3 * 8 * 3 * 32 * 32 * sizeof(float) + kLabels);
  EXPECT_THAT(take_findings(), IsEmpty());
}

TEST(Transfer, EvaluationReadsPinnedMemoryAndGivesTheScoresOfTheCpu) {
  const auto data = digits();
  const auto network = build_network(small_network());
  const Weights here = Weights::initialised(network->layout(), 1);
  const Weights there = Weights::initialised(network->layout(), 1, watched_device());
  WorkerPool pool(1);
  const auto alone = single_process();
  EvaluateOptions options;
  options.batch_size = 16;
  const auto scores = [&](const Weights& weights) {
    return evaluate(*network, weights, Objective({}), *data, square_view(), options, pool, *alone);
  };
  const auto expected = scores(here);
  take_bytes_from_pinned();
  const auto found = scores(there);
  EXPECT_EQ(take_bytes_from_pinned(), 48 * (3 * 32 * 32 * sizeof(float) + sizeof(std::int64_t)));
  EXPECT_THAT(take_findings(), IsEmpty());
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i].loss, expected[i].loss, 1e-4);
  }
  const auto features = [&](const Weights& weights) {
    return features_of(*network, weights, *data, square_view(), options, pool, *alone).features;
  };
  EXPECT_TRUE(at::allclose(features(there), features(here), 1e-4, 1e-4));
  EXPECT_THAT(take_findings(), IsEmpty());
}

TEST(Transfer, OfATensorComesWhatIsRead) {
  const at::Tensor values = at::arange(1000, at::kFloat).view({10, 100});
  const at::Tensor there = values.to(watched_device());
  const Tensor view = view_of(there);
  const Tensor turned = view_of(there.t());
  take_bytes_to_host();
  EXPECT_THAT(view.in_place(), IsEmpty());
  EXPECT_EQ(take_bytes_to_host(), 0U);
  EXPECT_EQ(view.digest(), view_of(values).digest());
  EXPECT_EQ(take_bytes_to_host(), 4000U);
  EXPECT_EQ(turned.digest(), view_of(values.t()).digest());
  std::vector<std::byte> part(40);
  take_bytes_to_host();
  view.storage()->read(400, part);
  EXPECT_EQ(take_bytes_to_host(), 40U);
  EXPECT_EQ(std::memcmp(part.data(), values.const_data_ptr<float>() + 100, 40), 0);
  // A view, not a copy.
  there.add_(1);
  EXPECT_EQ(view.digest(), view_of(values + 1).digest());
  EXPECT_EQ(view_of(there.narrow(0, 0, 0)).size_bytes(), 0U);
  EXPECT_EQ(view_of(at::scalar_tensor(2.5, there.options())).to_bytes().size(), 4U);
  EXPECT_THAT(take_findings(), IsEmpty());
}

// What several processes write together each of them copies in part; tied tensors stay tied.
TEST(Transfer, OfAStateComesWhatIsWantedOnce) {
  const at::Tensor a = at::ones({1000}, at::kFloat).to(watched_device());
  const at::Tensor b = at::ones({500}, at::kFloat).to(watched_device());
  Checkpoint checkpoint;
  checkpoint.backbone.append("a", view_of(a));
  checkpoint.backbone.append("tied", view_of(a));
  checkpoint.backbone.append("b", view_of(b));
  store::StagingBuffer buffer;
  take_bytes_to_host();
  const Checkpoint copy = buffer.copy(checkpoint, 2);
  EXPECT_EQ(take_bytes_to_host(), 6000U);
  EXPECT_EQ(copy.backbone.find("a")->storage(), copy.backbone.find("tied")->storage());
  buffer.copy(checkpoint, 2, [](const Tensor& tensor) { return tensor.elements() == 500; });
  EXPECT_EQ(take_bytes_to_host(), 2000U);
}

// What the ledger digests: parameters of one buffer, BatchNorm's statistics by themselves.
TEST(Transfer, ManyTensorsComeInFewPieces) {
  const auto network = build_network(small_resnet().network);
  const Weights here = Weights::initialised(network->layout(), 1);
  const Weights there = Weights::initialised(network->layout(), 1, watched_device());
  std::vector<Tensor> tensors;
  for (const auto& [name, tensor] : there.named()) tensors.push_back(view_of(tensor));
  const std::size_t of_network = tensors.size();
  const at::Tensor buffer = at::arange(1 << 20, at::kFloat).to(watched_device());
  tensors.push_back(view_of(buffer.narrow(0, 3, 5)));  // far apart
  tensors.push_back(view_of(buffer.narrow(0, 1000000, 7)));
  tensors.push_back(view_of(buffer.narrow(0, 0, 0)));
  tensors.push_back(view_of(at::arange(3, at::kLong)));  // of the CPU
  take_host_waits();
  take_bytes_to_host();
  const std::vector<Tensor> found = fetched(tensors);
  std::uint64_t waits = 0;
  for (const auto& [why, count] : take_host_waits()) waits += count;
  EXPECT_EQ(waits, 4U);  // parameters, statistics, and two that have nothing near them
  EXPECT_LT(take_bytes_to_host(), there.flat().nbytes() + (std::uint64_t{1} << 17));
  ASSERT_EQ(found.size(), tensors.size());
  const auto expected = here.named();
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].digest(), tensors[i].digest()) << i;
    EXPECT_EQ(found[i].shape(), tensors[i].shape()) << i;
    if (i < of_network) {
      EXPECT_FALSE(found[i].in_place().empty()) << i;
      EXPECT_EQ(found[i].digest(), view_of(expected[i].tensor).digest()) << i;
    }
  }
  EXPECT_THAT(take_findings(), IsEmpty());
}

TEST(Transfer, MemoryOfADeviceIsTheDevices) {
  const at::Tensor large =
      at::empty({3 << 20}, at::TensorOptions(at::kFloat).device(watched_device(1)));
  EXPECT_GE(peak_memory_mib(watched_device(1)), 12U);
}

}  // namespace
}  // namespace reprise::engine
