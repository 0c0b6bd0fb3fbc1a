// Our optimizers and the real torch.optim: 100 updates side by side, and states that go back and
// forth.
#include "ckpt/base/error.h"
#include "ckpt/base/json.h"
#include "ckpt/state/checkpoint.h"
#include "ckpt/state/plain_json.h"
#include "engine/optim/gradient.h"
#include "engine/optim/optimizer.h"
#include "engine/torch_bridge/tensor.h"
#include "tests/engine/python_peer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>

namespace reprise::engine {
namespace {

std::map<std::string, OptimizerOptions> cases() {
  std::map<std::string, OptimizerOptions> all;
  OptimizerOptions sgd;
  sgd.name = "sgd";
  sgd.lr = 0.05;
  sgd.momentum = 0;
  all["sgd"] = sgd;
  sgd.momentum = 0.9;
  sgd.weight_decay = 0.01;
  all["sgd_momentum"] = sgd;
  sgd.nesterov = true;
  all["sgd_nesterov"] = sgd;
  sgd.nesterov = false;
  sgd.momentum = 0.8;
  sgd.dampening = 0.3;
  sgd.weight_decay = 0;
  all["sgd_dampening"] = sgd;
  OptimizerOptions adam;
  adam.name = "adam";
  adam.lr = 0.003;
  adam.weight_decay = 0.01;
  all["adam"] = adam;
  adam.name = "adamw";
  adam.beta1 = 0.8;
  adam.beta2 = 0.99;
  adam.eps = 1e-6;
  adam.weight_decay = 0.05;
  all["adamw"] = adam;
  adam.beta1 = 0.9;
  adam.beta2 = 0.999;
  adam.eps = 1e-8;
  adam.lr_factors = {{"b.", 0.125}};
  all["adamw_groups"] = adam;
  return all;
}

std::shared_ptr<const Layout> three_parameters() {
  Layout layout;
  layout.parameter("a.weight", {7, 5}, Init::constant(0));
  layout.parameter("a.bias", {7}, Init::constant(0));
  layout.parameter("b.weight", {3, 7, 2}, Init::constant(0));
  return std::make_shared<const Layout>(std::move(layout));
}

class Peers : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new PeerFolder;
    folder_->run("optim/reference_optimizers.py", "steps");
    steps_ = new Document(folder_->open("steps.pth"));
  }
  static void TearDownTestSuite() {
    delete steps_;
    delete folder_;
  }
  static const DictNode& peer(const std::string& name) {
    return steps_->root.as_dict().get("cases").as_dict().get(name).as_dict();
  }
  static at::Tensor gradient(const Layout& layout, std::int64_t update) {
    at::Tensor flat = at::zeros({layout.flat_elements()});
    const StateDict all = tensors_in(steps_->root.as_dict().get("gradients"));
    for (const ParameterSpec& spec : layout.parameters()) {
      flat.narrow(0, spec.offset, spec.elements)
          .copy_(copy_of(*all.find(spec.name))[update].flatten());
    }
    return flat;
  }
  static void advance(Optimizer& optimizer, Weights& weights, std::int64_t first, std::int64_t last,
                      WorkerPool& pool) {
    for (std::int64_t update = first; update < last; ++update) {
      const at::Tensor g = gradient(weights.layout(), update);
      StepOptions how;
      how.lr = optimizer.options().lr;
      how.weight_decay = optimizer.options().weight_decay;
      how.gradient_scale = clip_scale(gradient_norm(g, pool), 5);
      optimizer.step(weights, g, how, pool);
    }
  }
  static void expect_near(const StateDict& expected, const Weights& weights,
                          const std::string& what) {
    for (const NamedTensor& ours : weights.named()) {
      const at::Tensor theirs = copy_of(*expected.find(ours.name));
      // 100 updates of size about lr on values of about 1: a few units in the last place each.
      EXPECT_TRUE(at::allclose(ours.tensor, theirs, 2e-6, 1e-6))
          << what << " " << ours.name << " by " << (ours.tensor - theirs).abs().max().item<float>();
    }
  }

  static PeerFolder* folder_;
  static Document* steps_;
};
PeerFolder* Peers::folder_ = nullptr;
Document* Peers::steps_ = nullptr;

TEST_F(Peers, HundredUpdatesFollowPyTorch) {
  WorkerPool pool(2);
  for (const auto& [name, options] : cases()) {
    Weights weights(three_parameters());
    load_state(tensors_in(steps_->root.as_dict().get("start")), weights.named(), true);
    const auto optimizer = make_optimizer(options, weights);
    advance(*optimizer, weights, 0, 50, pool);
    expect_near(tensors_in(peer(name).get("middle")), weights, name + " after 50");
    advance(*optimizer, weights, 50, 100, pool);
    expect_near(tensors_in(peer(name).get("end")), weights, name + " after 100");
  }
}

TEST_F(Peers, PyTorchsStateGoesOnHere) {
  WorkerPool pool(2);
  for (const auto& [name, options] : cases()) {
    Weights weights(three_parameters());
    load_state(tensors_in(peer(name).get("middle")), weights.named(), true);
    const auto optimizer = make_optimizer(options, weights);
    optimizer->load(peer(name).get("state"));
    advance(*optimizer, weights, 50, 100, pool);
    expect_near(tensors_in(peer(name).get("end")), weights, name);
  }
}

Json numbers(const Value& value) {
  const TensorNode* node = value.if_tensor();
  if (node == nullptr) return to_plain_json(value);
  const at::Tensor flat = copy_of(node->tensor).flatten().contiguous();
  Json list = Json::array();
  for (std::int64_t i = 0; i < flat.numel(); ++i) list.push_back(flat.const_data_ptr<float>()[i]);
  return list;
}

TEST_F(Peers, OurStateGoesOnInPyTorch) {
  WorkerPool pool(2);
  Json ours = Json::object();
  for (const auto& [name, options] : cases()) {
    Weights weights(three_parameters());
    load_state(tensors_in(steps_->root.as_dict().get("start")), weights.named(), true);
    const auto optimizer = make_optimizer(options, weights);
    advance(*optimizer, weights, 0, 50, pool);
    Arena arena;
    const Value state = optimizer->state(arena);
    Json one = Json::object();
    one["param_groups"] = to_plain_json(state.as_dict().get("param_groups"));
    one["state"] = Json::object();
    for (const DictEntry& parameter : state.as_dict().get("state").as_dict().entries) {
      Json& slots = one["state"][std::to_string(parameter.key.as_int())];
      slots = Json::object();
      for (const DictEntry& slot : parameter.value.as_dict().entries) {
        slots[std::string(slot.key.as_string())] = numbers(slot.value);
      }
    }
    for (const NamedTensor& parameter : weights.named()) {
      one["params"][parameter.name] = numbers(arena.tensor(view_of(parameter.tensor)));
    }
    ours[name] = one;
  }
  std::ofstream(folder_->path() / "ours.json") << dump_json(ours);
  folder_->run("optim/reference_optimizers.py", "load");
  const Document loaded = folder_->open("loaded.pth");
  for (const auto& [name, options] : cases()) {
    Weights theirs(three_parameters());
    load_state(tensors_in(loaded.root.as_dict().get(name)), theirs.named(), true);
    expect_near(tensors_in(peer(name).get("end")), theirs, name);
  }
}

TEST_F(Peers, AnotherOptimizersStateIsAMismatch) {
  Weights weights(three_parameters());
  const auto adam = make_optimizer(cases().at("adam"), weights);
  try {
    adam->load(peer("sgd_momentum").get("state"));
    FAIL() << "SGD's state was taken for Adam's";
  } catch (const Error& error) {
    EXPECT_TRUE(error.code() == Code::kMismatch || error.code() == Code::kCorrupt);
  }
  EXPECT_EQ(adam->steps(), 0U);
}

}  // namespace
}  // namespace reprise::engine
