// What a GPU gets of training: on a device whose memory the host cannot touch, whose streams have
// no order of their own.
#include "engine/distributed/communicator.h"
#include "engine/weights/gradient_sink.h"
#include "tests/engine/shards/small_run.h"
#include "tests/engine/watched_device/two_ranks.h"
#include "tests/engine/watched_device/watched_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <array>

namespace reprise::engine {
namespace {

using testing::IsEmpty;

std::vector<SmallRun> small_runs() {
  std::vector<SmallRun> runs{small_vit(), small_resnet()};
  for (SmallRun& run : runs) run.updates = 2;
  return runs;
}

TEST(TrainingOnADevice, LearnsWhatTheCpuLearns) {
  for (const SmallRun& run : small_runs()) {
    const SmallRunResult here = run_small(run, 1, *single_process());
    const SmallRunResult there = run_small(run, 1, *single_process(), watched_device());
    ASSERT_EQ(there.losses.size(), here.losses.size());
    for (std::size_t i = 0; i < here.losses.size(); ++i) {
      EXPECT_NEAR(there.losses[i], here.losses[i], 1e-4 * here.losses[i]) << run.network.arch << i;
    }
    EXPECT_THAT(take_findings(), IsEmpty());
  }
}

// By either road sums begin while the backward pass goes on, in a stream of their own.
TEST(TrainingOnADevice, TwoDevicesGiveTheBitsOfOneInOrder) {
  for (SmallRun run : small_runs()) {
    run.activation_checkpointing = run.network.arch == "vit_tiny";
    const Digest one = run_small(run, 1, *single_process(), watched_device()).digest;
    for (const Road road : {Road::kDevices, Road::kHost}) {
      std::array<Digest, 2> digests;
      run_two_ranks(road, [&](Communicator& communicator, c10::Device device) {
        digests[static_cast<std::size_t>(device.index())] =
            run_small(run, 1, communicator, device).digest;
      });
      EXPECT_EQ(digests[0], one) << run.network.arch;
      EXPECT_EQ(digests[1], one) << run.network.arch;
      EXPECT_THAT(take_findings(), IsEmpty());
    }
  }
}

struct Counter : GradientSink {
  std::vector<int> taken;
  void take(std::size_t parameter, const at::Tensor& /*gradient*/) override { ++taken[parameter]; }
};

// LibTorch's own threads go back there: what they find is handed over all the same, while the pass
// goes on.
TEST(TrainingOnADevice, HandsOverEachGradientOnce) {
  for (const SmallRun& run : small_runs()) {
    for (const bool checkpointing : {false, true}) {
      const auto network = build_network(run.network);
      Weights weights = Weights::initialised(network->layout(), 42, watched_device());
      weights.require_gradients(true);
      Moments moments(weights.layout().batch_norms().size());
      Pass pass;
      pass.training = true;
      pass.moments = &moments;
      pass.activation_checkpointing = checkpointing;
      const TrainingBatch batch =
          on_device(made_up_batch(run.network, 0, {0, 2}), watched_device());
      const at::Tensor loss = network->forward(weights, batch.images, pass).square().mean();
      Counter counter;
      counter.taken.resize(weights.parameters().size());
      const GradientScope scope(&counter);
      torch::autograd::grad({loss}, weights.parameters());
      EXPECT_THAT(counter.taken, testing::Each(1)) << run.network.arch << checkpointing;
      EXPECT_THAT(take_findings(), IsEmpty());
    }
  }
}

}  // namespace
}  // namespace reprise::engine
