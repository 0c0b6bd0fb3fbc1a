// How often the host waits for a device in one update: while it does, it gives the device nothing
// to do.
#include "tests/engine/shards/small_run.h"
#include "tests/engine/watched_device/watched_device.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace reprise::engine {
namespace {

using Waits = std::map<std::string, std::uint64_t>;  // by what was waited for

// While ShardedStep::run().
Waits waits_of_update(const SmallRun& run) {
  WorkerPool pool(1);
  const auto network = build_network(run.network);
  Weights weights = Weights::initialised(network->layout(), 42, watched_device());
  weights.require_gradients(true);
  const auto alone = single_process();
  ShardedStepOptions options;
  options.plan = run.plan;
  options.activation_checkpointing = run.activation_checkpointing;
  options.compute_type = run.compute_type;
  if (run.compute_type == at::kHalf) options.loss_scale = 1024;
  ShardedStep step(options, network->layout(), watched_device(), pool, *alone);
  const TrainingBatch batch =
      on_device(made_up_batch(run.network, 0, run.plan.local_samples()), watched_device());
  take_host_waits();
  step.run(weights, 0, supervised(*network, weights, Objective({}), batch));
  return take_host_waits();
}

// What is read of the shards is read once they all have been given to the device; with BatchNorm,
// its running statistics in one piece after that.
TEST(HostWaits, AreAtTheEndOfAnUpdateHoweverManyShardsItHas) {
  const Waits once{{"a copy to the host", 1}};
  const Waits twice{{"a copy to the host", 2}};
  for (const std::uint64_t shards : {2U, 4U}) {
    SmallRun vit = small_vit();  // with random layers
    vit.plan.shards = shards;
    EXPECT_EQ(waits_of_update(vit), once) << shards;
    vit.activation_checkpointing = true;
    vit.compute_type = at::kHalf;
    EXPECT_EQ(waits_of_update(vit), once) << shards;
    SmallRun resnet = small_resnet();
    resnet.plan.accumulate = 1;
    resnet.plan.shards = shards;
    EXPECT_EQ(waits_of_update(resnet), twice) << shards;
  }
}

// A norm is a number, whatever it is the norm of.
TEST(HostWaits, NormsOfManyTensorsComeAtOnce) {
  WorkerPool pool(1);
  std::vector<at::Tensor> here, there;
  for (const std::int64_t elements : {1, 1000, 1 << 16, 200000}) {
    here.push_back(at::linspace(-1, 2, elements, at::kFloat));
    there.push_back(here.back().to(watched_device()));
  }
  take_host_waits();
  take_bytes_to_host();
  const std::vector<double> found = l2_norms(there, pool);
  EXPECT_LE(take_bytes_to_host(), 10 * sizeof(double));
  EXPECT_EQ(take_host_waits(), (Waits{{"a copy to the host", 1}}));
  const std::vector<double> expected = l2_norms(here, pool);
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i], expected[i], 1e-12 * expected[i]);
    EXPECT_NEAR(expected[i], here[i].to(at::kDouble).norm().item<double>(), 1e-12 * expected[i]);
  }
}

}  // namespace
}  // namespace reprise::engine
