// What is left when a device, or the host's memory for it, fails.
#include "ckpt/base/error.h"
#include "engine/data/loader.h"
#include "engine/data/open.h"
#include "engine/device/pinned_memory.h"
#include "engine/device/side_stream.h"
#include "engine/torch_bridge/tensor.h"
#include "tests/engine/shards/small_run.h"
#include "tests/engine/watched_device/two_ranks.h"
#include "tests/engine/watched_device/watched_device.h"

#include <c10/core/impl/VirtualGuardImpl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <optional>

namespace reprise::engine {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

c10::Stream current_stream() {
  return c10::impl::VirtualGuardImpl(watched_device().type()).getStream(watched_device());
}

TEST(SideStream, AScopeThatFailsPutsTheStreamBack) {
  const at::Tensor x = at::ones({8}, at::TensorOptions(at::kFloat).device(watched_device()));
  SideStream side(watched_device());
  const c10::Stream before = current_stream();
  const auto add_beside = [&] {
    const SideStream::Scope beside(side);
    EXPECT_FALSE(current_stream() == before);
    side.after_compute();
    x.add_(1);
  };
  {
    const Failure failing(Failing::kSideStreams);
    EXPECT_THROW(add_beside(), c10::Error);
  }
  EXPECT_TRUE(current_stream() == before);
  add_beside();
  side.before_compute();
  x.mul_(2);
  EXPECT_EQ(x.sum().item<float>(), 32);
  EXPECT_THAT(take_findings(), IsEmpty());
}

// The sums over ranks fail in a thread of their own, while the ranks compute. The update is as if
// it had not been: done again, it gives the same bits.
TEST(SideStream, AnUpdateWhoseSumsFailCanBeDoneAgain) {
  const SmallRun run = small_resnet();
  const auto network = build_network(run.network);
  const Objective objective({});
  std::array<Digest, 2> first, second;
  std::optional<Failure> failing(Failing::kSideStreams);
  std::array<std::string, 2> errors;
  const auto work = [&](bool fails) {
    run_two_ranks(Road::kDevices, [&](Communicator& communicator, c10::Device device) {
      const auto rank = static_cast<std::size_t>(device.index());
      WorkerPool pool(1);
      Weights weights = Weights::initialised(network->layout(), 42, device);
      weights.require_gradients(true);
      ShardedStepOptions options;
      options.plan = run.plan;
      options.plan.world = 2;
      options.plan.rank = device.index();
      ShardedStep step(options, network->layout(), device, pool, communicator);
      const TrainingBatch batch =
          on_device(made_up_batch(run.network, 0, options.plan.local_samples()), device);
      const auto update = [&] {
        const StepResult& result =
            step.run(weights, 0, supervised(*network, weights, objective, batch));
        Sha256 sha;
        sha.update(view_of(result.gradient).to_bytes());
        for (const at::Tensor& buffer : weights.buffers()) sha.update(view_of(buffer).to_bytes());
        return sha.finish();
      };
      if (!fails) {
        first[rank] = update();
        return;
      }
      try {
        update();
      } catch (const Error& error) {
        errors[rank] = error.what();
      }
      communicator.barrier();
      if (rank == 0) failing.reset();
      communicator.barrier();
      second[rank] = update();
    });
  };
  work(true);
  work(false);
  for (const std::string& error : errors) EXPECT_THAT(error, HasSubstr("fails beside its first"));
  EXPECT_EQ(second, first);
  EXPECT_EQ(first[0], first[1]);
  EXPECT_THAT(take_findings(), IsEmpty());
}

TEST(PinnedMemory, ThatIsRefusedForBatchesIsAnErrorWithTheWayOut) {
  OpenOptions open;
  open.max_samples = 8;
  const auto data = open_dataset("builtin:digits", Split::kValidation, open);
  View view;
  view.size = {16, 16};
  LoaderOptions loading;
  loading.allocate = pinned_memory(watched_device());
  const auto load = [&] {
    Loader(
        *data, {view}, 8, [] { return std::optional<BatchRequest>(); }, loading);
  };
  {
    const Failure failing(Failing::kPinnedMemory);
    try {
      load();
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kIo);
      EXPECT_THAT(
          error.what(),
          HasSubstr("no 24576 bytes of pinned memory for a batch (the watched device's host "
                    "is out of pinned memory"));
      EXPECT_THAT(error.what(), HasSubstr("lower --prefetch or the batch"));
    }
  }
  load();
}

TEST(PinnedMemory, ThatIsRefusedForSmallThingsIsDoneWithout) {
  const at::Tensor host = at::linspace(0, 1, 100, at::kFloat);
  take_host_waits();
  EXPECT_TRUE(at::equal(sent_to(watched_device(), host).cpu(), host));
  EXPECT_EQ(take_host_waits().count("a copy from memory that is not pinned"), 0U);
  const Failure failing(Failing::kPinnedMemory);
  EXPECT_TRUE(at::equal(sent_to(watched_device(), host).cpu(), host));
  EXPECT_EQ(take_host_waits().count("a copy from memory that is not pinned"), 1U);
  EXPECT_THAT(take_findings(), IsEmpty());
}

}  // namespace
}  // namespace reprise::engine
