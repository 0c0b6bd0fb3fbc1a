// Our networks against the same ones in PyTorch's own modules: public-format weights go in, and
// outputs, loss, gradients and running statistics have to agree.
#include "engine/distributed/communicator.h"
#include "engine/models/network.h"
#include "engine/shards/sharded_step.h"
#include "engine/tasks/supervised.h"
#include "engine/torch_bridge/tensor.h"
#include "tests/engine/python_peer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace reprise::engine {
namespace {

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a.detach().to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

double square_sum(const at::Tensor& x) { return (x * x).sum().item<double>(); }

void expect_same_as_pytorch(const std::string& file, const std::string& arch,
                            std::int64_t image_size) {
  const PeerFolder folder;
  folder.run("models/reference_models.py", file);
  const Document document = folder.open(file + ".pth");
  const DictNode& peer = document.root.as_dict();
  const auto tensor = [&](std::string_view key) {
    return copy_of(peer.get(key).as_tensor().tensor);
  };

  NetworkOptions options;
  options.arch = arch;
  options.outputs = 7;
  options.image_size = image_size;
  options.patch_size = 4;
  const auto network = build_network(options);
  Weights weights(network->layout());
  const KeyReport report = load_state(tensors_in(peer.get("weights")), weights.named(), true);
  EXPECT_TRUE(report.fits());
  // Same names in the same order: ours load there too.
  std::size_t at = 0;
  for (const auto& [name, unused] : tensors_in(peer.get("weights"))) {
    EXPECT_EQ(name, weights.named()[at++].name);
  }

  WorkerPool pool(2);
  const at::Tensor images = tensor("images");
  {
    const at::NoGradGuard no_gradients;
    const at::Tensor outputs = network->forward(weights, images, Pass{});
    EXPECT_LT(largest_difference(outputs, tensor("outputs")), 1e-5);
  }

  weights.require_gradients(true);
  const Objective objective({});
  TrainingBatch batch;
  batch.images = images;
  batch.labels = tensor("labels");
  ShardedStepOptions step_options;
  step_options.plan.batch = 6;
  // BatchNorm sees a shard: one shard is what PyTorch computes. Without it shards add up.
  step_options.plan.shards = network->layout()->batch_norms().empty() ? 3 : 1;
  const auto alone = single_process();
  ShardedStep step(step_options, network->layout(), c10::kCPU, pool, *alone);
  const StepResult& result = step.run(weights, 0, supervised(*network, weights, objective, batch));
  EXPECT_NEAR(result.loss, tensor("loss").item<double>(), 5e-5);
  // ReLU's kinks behind BatchNorm over few values magnify rounding, in PyTorch too: both are held
  // against gradients in float64.
  const StateDict theirs = tensors_in(peer.get("gradients"));
  const StateDict exact = tensors_in(peer.get("exact_gradients"));
  double our_error = 0;
  double their_error = 0;
  double size = 0;
  for (const ParameterSpec& spec : network->layout()->parameters()) {
    const at::Tensor truth = copy_of(*exact.find(spec.name));
    const at::Tensor ours = result.gradient.narrow(0, spec.offset, spec.elements).view(spec.shape);
    our_error += square_sum(ours.to(at::kDouble) - truth);
    their_error += square_sum(copy_of(*theirs.find(spec.name)).to(at::kDouble) - truth);
    size += square_sum(truth);
  }
  our_error = std::sqrt(our_error / size);
  their_error = std::sqrt(their_error / size);
  EXPECT_LT(our_error, std::max(1e-5, 4 * their_error)) << "PyTorch's: " << their_error;
  std::printf("%s: error of the gradient %.3g, PyTorch's %.3g\n", arch.c_str(), our_error,
              their_error);
  for (const auto& [name, value] : tensors_in(peer.get("trained_buffers"))) {
    for (const NamedTensor& ours : weights.named()) {
      if (ours.name == name) {
        const at::Tensor expected = copy_of(value);
        const double scale = std::max(1.0, expected.to(at::kDouble).abs().max().item<double>());
        EXPECT_LT(largest_difference(ours.tensor, expected) / scale, 5e-5) << name;
      }
    }
  }
}

TEST(Reference, ResNet18IsTorchvisions) { expect_same_as_pytorch("resnet18", "resnet18", 64); }

TEST(Reference, ResNet18ForCifar) {
  expect_same_as_pytorch("resnet18_cifar", "resnet18_cifar", 32);
}

TEST(Reference, ResNet50IsTorchvisions) { expect_same_as_pytorch("resnet50", "resnet50", 64); }

TEST(Reference, VitTinyIsTimms) { expect_same_as_pytorch("vit_tiny", "vit_tiny", 32); }

TEST(Reference, VitTinyOnLargerImagesInterpolatesPositions) {
  expect_same_as_pytorch("vit_tiny_larger", "vit_tiny", 32);
}

}  // namespace
}  // namespace reprise::engine
