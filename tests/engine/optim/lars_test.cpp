// LARS against a plain transcription of algorithm 1 of its paper, in double precision.
#include "engine/optim/optimizer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace reprise::engine {
namespace {

TEST(Lars, FollowsThePaperFor100Updates) {
  Layout layout;
  layout.parameter("weight", {9, 4}, Init::truncated_normal(0.5));
  layout.parameter("bias", {9}, Init::truncated_normal(0.5));
  Weights weights = Weights::initialised(std::make_shared<const Layout>(std::move(layout)), 3);
  OptimizerOptions options;
  options.name = "lars";
  options.momentum = 0.9;
  const auto optimizer = make_optimizer(options, weights);
  WorkerPool pool(2);

  at::Tensor w = weights.parameter(0).to(at::kDouble).clone();
  at::Tensor b = weights.parameter(1).to(at::kDouble).clone();
  at::Tensor v = at::zeros_like(w);
  at::Tensor u = at::zeros_like(b);
  for (int update = 0; update < 100; ++update) {
    at::Tensor gradient = at::zeros({weights.layout().flat_elements()});
    gradient.narrow(0, 0, 36).copy_(at::sin(at::arange(36) * (update + 1)));
    gradient.narrow(0, weights.layout().parameters()[1].offset, 9)
        .copy_(at::cos(at::arange(9) * (update + 2)));
    const double lr = 2.0 / (1 + update);
    const double decay = 0.01;
    const at::Tensor g = gradient.narrow(0, 0, 36).view({9, 4}).to(at::kDouble);
    const double w_norm = w.norm().item<double>();
    const double rate = 1e-3 * w_norm / (g.norm().item<double>() + decay * w_norm);
    v = 0.9 * v + lr * rate * (g + decay * w);
    w = w - v;
    u = 0.9 * u +
        lr * gradient.narrow(0, weights.layout().parameters()[1].offset, 9).to(at::kDouble);
    b = b - u;
    StepOptions how;
    how.lr = lr;
    how.weight_decay = decay;
    optimizer->step(weights, gradient, how, pool);
  }
  EXPECT_TRUE(at::allclose(weights.parameter(0).to(at::kDouble), w, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(weights.parameter(1).to(at::kDouble), b, 1e-5, 1e-5));
}

}  // namespace
}  // namespace reprise::engine
