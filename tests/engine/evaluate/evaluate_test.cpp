// Evaluation is exact: neither the batch size nor threads change a bit, and training never notices.
#include "engine/evaluate/evaluate.h"
#include "engine/data/open.h"
#include "engine/distributed/communicator.h"
#include "engine/torch_bridge/load_state.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

namespace reprise::engine {
namespace {

struct Setting {
  std::shared_ptr<const Dataset> data;
  std::unique_ptr<const Network> network;
  Weights weights;
  Objective objective;
  View view;
};

Setting digits(const std::string& arch) {
  OpenOptions open;
  open.max_samples = 37;  // not a multiple of the micro-batch
  auto data = open_dataset("builtin:digits", Split::kValidation, open);
  NetworkOptions options;
  options.arch = arch;
  options.outputs = static_cast<std::int64_t>(data->class_names().size());
  options.image_size = 32;
  options.patch_size = 8;
  options.dropout = arch == "vit_tiny" ? 0.5 : 0;
  auto network = build_network(options);
  View view;
  view.size = {32, 32};
  Weights weights = Weights::initialised(network->layout(), 1);
  return {std::move(data), std::move(network), std::move(weights), Objective({}), view};
}

std::vector<SampleScore> scores_of(const Setting& s, std::uint64_t batch_size, unsigned threads) {
  WorkerPool pool(threads);
  const auto alone = single_process();
  EvaluateOptions options;
  options.batch_size = batch_size;
  return evaluate(*s.network, s.weights, s.objective, *s.data, s.view, options, pool, *alone);
}

bool same_bits(const std::vector<SampleScore>& a, const std::vector<SampleScore>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof a[0]) == 0;
}

TEST(Evaluate, BatchSizeAndThreadsDoNotChangeABit) {
  for (const std::string arch : {"resnet18_cifar", "vit_tiny"}) {
    const Setting s = digits(arch);
    const auto reference = scores_of(s, 64, 2);
    ASSERT_EQ(reference.size(), 37U);
    EXPECT_TRUE(same_bits(reference, scores_of(s, 1, 1))) << arch;
    EXPECT_TRUE(same_bits(reference, scores_of(s, 33, 3))) << arch;
  }
}

TEST(Evaluate, LeavesEveryBitOfTheWeightsAlone) {
  Setting s = digits("resnet18_cifar");
  s.weights.require_gradients(true);
  const auto digest = [&] {
    Sha256 sha;
    for (const auto& [name, tensor] : state_of(s.weights.named())) sha.update(tensor.to_bytes());
    return sha.finish();
  };
  const Digest before = digest();
  scores_of(s, 16, 2);
  EXPECT_EQ(before, digest());
  for (const at::Tensor& parameter : s.weights.parameters()) {
    EXPECT_FALSE(parameter.grad().defined());
  }
}

TEST(Metrics, AreThoseOfTheSamples) {
  std::vector<SampleScore> scores(4);
  scores[0] = {1.0, 1, 1, 0, 0};
  scores[1] = {2.0, 0, 1, 0, 0};
  scores[2] = {3.0, 0, 1, 0, 0};
  scores[3] = {6.0, 0, 0, 0, 0};
  const Metrics classes = compute_metrics(scores, Task::kClassification, 10);
  const Metrics expected{{"val/loss", 3}, {"val/acc1", 25}, {"val/acc5", 75}};
  EXPECT_EQ(classes, expected);
  EXPECT_EQ(metric_names(Task::kClassification, 10),
            (std::vector<std::string>{"val/loss", "val/acc1", "val/acc5"}));
  EXPECT_EQ(metric_names(Task::kClassification, 5),
            (std::vector<std::string>{"val/loss", "val/acc1"}));
  EXPECT_EQ(metric_names(Task::kRegression, 1),
            (std::vector<std::string>{"val/loss", "val/mae", "val/rmse"}));
}

TEST(Objective, ScoresAgreeWithLibTorchsLoss) {
  const at::Tensor outputs = at::randn({9, 12}) * 4;
  const at::Tensor labels = at::arange(9);
  const auto scores = Objective({}).scores(outputs, labels, {}, 9);
  const at::Tensor losses =
      at::cross_entropy_loss(outputs.to(at::kDouble), labels, {}, at::Reduction::None);
  const at::Tensor best = outputs.argmax(1);
  for (std::size_t i = 0; i < 9; ++i) {
    const auto row = static_cast<std::int64_t>(i);
    EXPECT_NEAR(scores[i].loss, losses[row].item<double>(), 1e-12);
    EXPECT_EQ(scores[i].correct1 == 1, best[row].item<std::int64_t>() == row);
  }
}

TEST(Objective, ANetworkThatGivesNaNIsNeverRight) {
  at::Tensor outputs = at::zeros({1, 3});
  outputs[0][1] = std::nan("");
  const auto scores = Objective({}).scores(outputs, at::zeros({1}, at::kLong), {}, 1);
  EXPECT_TRUE(std::isnan(scores[0].loss));
  EXPECT_EQ(scores[0].correct1, 0);
}

}  // namespace
}  // namespace reprise::engine
