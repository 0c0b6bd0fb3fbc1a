// One update of self-distillation against the same one in PyTorch's own modules: loss, gradients,
// and what the centre is made of.
#include "engine/distributed/communicator.h"
#include "engine/shards/sharded_step.h"
#include "engine/tasks/dino.h"
#include "engine/torch_bridge/tensor.h"
#include "tests/engine/python_peer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace reprise::engine {
namespace {

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a.detach().to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

TEST(DinoReference, LossGradientsAndCentreArePyTorchs) {
  const PeerFolder folder;
  folder.run("tasks/reference_dino.py", "");
  const Document document = folder.open("dino.pth");
  const DictNode& peer = document.root.as_dict();
  const auto tensor = [&](std::string_view key) {
    return copy_of(peer.get(key).as_tensor().tensor);
  };

  NetworkOptions backbone;
  backbone.arch = "vit_tiny";
  backbone.image_size = 16;
  backbone.patch_size = 8;
  const DinoNetwork network(backbone, {.outputs = 40, .hidden = 48, .bottleneck = 24});
  Weights student(network.layout());
  Weights teacher(network.layout());
  EXPECT_TRUE(load_state(tensors_in(peer.get("student")), student.named(), true).fits());
  EXPECT_TRUE(load_state(tensors_in(peer.get("teacher")), teacher.named(), true).fits());
  student.require_gradients(true);

  DinoStep dino_step;
  for (const auto& [name, crop] : tensors_in(peer.get("crops"))) {
    dino_step.crops.push_back(copy_of(crop));
  }
  dino_step.centre = tensor("centre");
  ShardedStepOptions options;
  options.plan.batch = 6;
  options.plan.shards = 3;
  options.extra_elements = 40;
  WorkerPool pool(2);
  const auto alone = single_process();
  ShardedStep step(options, network.layout(), c10::kCPU, pool, *alone);
  const StepResult& result = step.run(student, 0, dino(network, student, teacher, dino_step));

  EXPECT_NEAR(result.loss, tensor("loss").item<double>(), 1e-5);
  EXPECT_LT(largest_difference(result.extra, tensor("teacher_sum")), 1e-4);
  const StateDict theirs = tensors_in(peer.get("gradients"));
  std::size_t compared = 0;
  for (const ParameterSpec& spec : network.layout()->parameters()) {
    const Tensor* expected = theirs.find(spec.name);
    EXPECT_EQ(expected != nullptr, spec.trainable) << spec.name;
    if (expected == nullptr) continue;
    const at::Tensor wanted = copy_of(*expected);
    const at::Tensor ours = result.gradient.narrow(0, spec.offset, spec.elements).view(spec.shape);
    const double size = wanted.to(at::kDouble).abs().max().item<double>();
    EXPECT_LT(largest_difference(ours, wanted), 1e-4 * size + 1e-7) << spec.name;
    ++compared;
  }
  EXPECT_EQ(compared, theirs.size());
}

}  // namespace
}  // namespace reprise::engine
