// Gradients that are handed over during a backward pass are those that autograd would have given.
#include "engine/weights/gradient_sink.h"
#include "tests/engine/shards/small_run.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <map>
#include <vector>

namespace reprise::engine {
namespace {

struct Recorder : GradientSink {
  std::vector<std::size_t> order;
  std::map<std::size_t, at::Tensor> taken;
  void take(std::size_t parameter, const at::Tensor& gradient) override {
    order.push_back(parameter);
    taken[parameter] = gradient.clone();
  }
};

struct Case {
  std::string arch;
  bool activation_checkpointing;
};

class Sink : public testing::TestWithParam<Case> {};

TEST_P(Sink, TakesEachGradientOnceFromTheLastLayerToTheFirst) {
  NetworkOptions options;
  options.arch = GetParam().arch;
  options.outputs = 10;
  options.image_size = 16;
  options.patch_size = 4;
  const auto network = build_network(options);
  Weights weights = Weights::initialised(network->layout(), 42);
  weights.require_gradients(true);
  WorkerPool pool(1);
  const Weights::Arranged arranged(weights, pool);
  const std::size_t count = weights.layout().parameters().size();

  const auto gradients = [&](GradientSink* sink) {
    Moments moments(weights.layout().batch_norms().size());
    Pass pass;
    pass.training = true;
    pass.moments = &moments;
    pass.activation_checkpointing = GetParam().activation_checkpointing;
    const TrainingBatch batch = made_up_batch(options, 0, {0, 4});
    const at::Tensor loss = network->forward(weights, batch.images, pass).square().mean();
    std::vector<at::Tensor> sources;
    for (std::size_t i = 0; i < count; ++i) sources.push_back(weights.parameter(i));
    const GradientScope scope(sink);
    return torch::autograd::grad({loss}, sources);
  };

  const std::vector<at::Tensor> expected = gradients(nullptr);
  Recorder recorder;
  const std::vector<at::Tensor> left = gradients(&recorder);
  ASSERT_EQ(recorder.order.size(), count);
  ASSERT_EQ(recorder.taken.size(), count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string& name = weights.layout().parameters()[i].name;
    EXPECT_TRUE(at::equal(recorder.taken[i], expected[i])) << name;
    EXPECT_EQ(left[i].storage().nbytes(), sizeof(float)) << name << ": memory that nobody needs";
  }
  // Of the last layer, of the first one.
  EXPECT_GE(recorder.order.front(), count - 2);
  EXPECT_LE(recorder.order.back(), 3U);
}

INSTANTIATE_TEST_SUITE_P(Networks, Sink,
                         testing::Values(Case{"resnet18_cifar", false},
                                         Case{"resnet18_cifar", true}, Case{"vit_tiny", false},
                                         Case{"vit_tiny", true}),
                         [](const auto& test) {
                           return test.param.arch +
                                  (test.param.activation_checkpointing ? "_checkpointed" : "");
                         });

}  // namespace
}  // namespace reprise::engine
