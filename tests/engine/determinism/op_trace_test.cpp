// Two passes over the same updates: what parts first is named, whatever made it differ.
#include "engine/determinism/op_trace.h"

#include "tests/engine/shards/small_run.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/custom_function.h>

#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace reprise::engine {
namespace {

using Change = std::function<at::Tensor(const at::Tensor& loss)>;

// Two updates of a small ViT, whose loss goes through `change`.
std::unique_ptr<OpTrace> traced(unsigned threads, const Change& change) {
  const SmallRun run = small_vit();
  const auto network = build_network(run.network);
  Weights weights = Weights::initialised(network->layout(), 1);
  weights.require_gradients(true);
  const Objective objective({});
  WorkerPool pool(threads);
  const auto communicator = single_process();
  ShardedStep step({.plan = run.plan, .seed = 1}, network->layout(), c10::kCPU, pool,
                   *communicator);
  auto trace = std::make_unique<OpTrace>();
  for (std::uint64_t update = 0; update < 2; ++update) {
    const TrainingBatch batch = made_up_batch(run.network, update, run.plan.local_samples());
    step.run(weights, update, [&](Shard& shard) {
      return change(supervised(*network, weights, objective, batch)(shard));
    });
  }
  trace->stop();
  return trace;
}

at::Tensor unchanged(const at::Tensor& loss) { return loss; }

// Draws from LibTorch's generator, which nothing sets back between the passes.
at::Tensor another_each_time(const at::Tensor& x) {
  const ModuleScope scope("layer.of.the.test");
  return x * at::rand_like(x);
}

// The same forward; another gradient each time.
class AnotherGradient : public torch::autograd::Function<AnotherGradient> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext*, const at::Tensor& x) {
    return x.clone();
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 torch::autograd::variable_list gradients) {
    return {gradients[0] * at::rand_like(gradients[0])};
  }
};

TEST(OpTrace, PassesOnOneAndThreeThreadsAreTheSame) {
  const auto first = traced(1, unchanged);
  const auto second = traced(3, unchanged);
  EXPECT_FALSE(first_divergence(*first, *second));
  std::size_t backward = 0;
  std::size_t in_block = 0;
  for (const auto& [place, ops] : first->leaves()) {
    for (const TracedOp& op : ops) {
      backward += op.backward;
      in_block += op.backward && op.module.starts_with("blocks.1");
    }
  }
  EXPECT_GT(backward, 100U);
  EXPECT_GT(in_block, 10U);
}

TEST(OpTrace, AnOpThatGivesOtherBitsIsNamedWithItsLayer) {
  const auto first = traced(1, another_each_time);
  const auto divergence = first_divergence(*first, *traced(1, another_each_time));
  ASSERT_TRUE(divergence);
  EXPECT_EQ(divergence->update, 0U);
  EXPECT_EQ(divergence->leaf, 0U);
  EXPECT_EQ(divergence->op.name, "aten::uniform_");
  EXPECT_EQ(divergence->op.module, "layer.of.the.test");
  EXPECT_FALSE(divergence->op.backward);
  EXPECT_EQ(divergence->text(),
            "update 1, shard 0: aten::uniform_ in the forward pass of layer.of.the.test");
}

TEST(OpTrace, AnOpOfTheBackwardPassIsNamedWithTheLayerItComesFrom) {
  const Change change = [](const at::Tensor& loss) {
    const ModuleScope scope("layer.of.the.test");
    return AnotherGradient::apply(loss);
  };
  const auto first = traced(1, change);
  const auto divergence = first_divergence(*first, *traced(1, change));
  ASSERT_TRUE(divergence);
  EXPECT_EQ(divergence->text(),
            "update 1, shard 0: aten::uniform_ in the backward pass of layer.of.the.test");
}

TEST(OpTrace, OtherDataAreNamed) {
  std::vector<std::unique_ptr<OpTrace>> traces;
  for (const float value : {1.0F, 2.0F}) {
    traces.push_back(std::make_unique<OpTrace>());
    {
      LeafScope leaf(0, 0);
      leaf.note("loading the batch", std::as_bytes(std::span(&value, 1)));
    }
    traces.back()->stop();
  }
  const auto divergence = first_divergence(*traces[0], *traces[1]);
  ASSERT_TRUE(divergence);
  EXPECT_EQ(divergence->op.name, "loading the batch");
}

}  // namespace
}  // namespace reprise::engine
