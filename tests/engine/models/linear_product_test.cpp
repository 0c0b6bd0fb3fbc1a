// A linear layer through oneDNN against LibTorch's, with its gradients.
#include "engine/models/linear_product.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <vector>

namespace reprise::engine {
namespace {

void expect_close(const at::Tensor& ours, const at::Tensor& theirs, const char* what) {
  ASSERT_EQ(ours.sizes(), theirs.sizes()) << what;
  const double scale = theirs.abs().max().item<double>();
  EXPECT_LE((ours - theirs).abs().max().item<double>(), 1e-5 * scale) << what;
}

void expect_linear(const at::Tensor& values, std::int64_t out) {
  const at::Tensor x = values.detach().requires_grad_(true);
  const at::Tensor weight = at::randn({out, x.size(-1)}).requires_grad_(true);
  const at::Tensor bias = at::randn({out}).requires_grad_(true);
  const std::vector<at::Tensor> sources{x, weight, bias};
  const at::Tensor ours = linear_product(x, weight, bias);
  const at::Tensor theirs = at::linear(x, weight, bias);
  expect_close(ours, theirs, "result");
  const at::Tensor weights = at::randn(theirs.sizes());
  const auto our_gradients = torch::autograd::grad({(ours * weights).sum()}, sources);
  const auto their_gradients = torch::autograd::grad({(theirs * weights).sum()}, sources);
  for (std::size_t i = 0; i < sources.size(); ++i) {
    expect_close(our_gradients[i], their_gradients[i], "gradient");
  }
}

TEST(LinearProduct, GivesWhatALinearLayerGives) {
  at::manual_seed(1);
  expect_linear(at::randn({33, 48}), 96);
  expect_linear(at::randn({3, 17, 48}), 10);
  expect_linear(at::randn({1, 1}), 1);
  expect_linear(at::randn({48, 33}).t(), 7);              // as it lies
  expect_linear(at::randn({4, 17, 48}).select(1, 0), 7);  // the class tokens
}

TEST(LinearProduct, WhatOneDnnDoesNotTakeGoesToLibTorch) {
  const at::Tensor none = at::randn({0, 8});
  EXPECT_EQ(linear_product(none, at::randn({3, 8}), at::randn({3})).sizes(),
            (std::vector<std::int64_t>{0, 3}));
  const at::Tensor x = at::randn({5, 8}, at::kDouble);
  const at::Tensor weight = at::randn({3, 8}, at::kDouble);
  const at::Tensor bias = at::randn({3}, at::kDouble);
  EXPECT_TRUE(linear_product(x, weight, bias).equal(at::linear(x, weight, bias)));
}

}  // namespace
}  // namespace reprise::engine
