// A convolution as a matrix product against LibTorch's, with its gradients.
#include "engine/models/product_convolution.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <string>

namespace reprise::engine {
namespace {

struct Shape {
  std::int64_t batch, in, height, width, out, side, stride;
};

class ProductConvolution : public testing::TestWithParam<Shape> {};

at::Tensor last(const at::Tensor& x) { return x.contiguous(at::MemoryFormat::ChannelsLast); }

void expect_close(const at::Tensor& ours, const at::Tensor& theirs, const char* what) {
  ASSERT_EQ(ours.sizes(), theirs.sizes()) << what;
  const double scale = theirs.abs().max().item<double>();
  EXPECT_LE((ours - theirs).abs().max().item<double>(), 1e-5 * scale) << what;
}

TEST_P(ProductConvolution, GivesWhatAConvolutionGives) {
  const Shape s = GetParam();
  at::manual_seed(1);
  const std::int64_t padding = s.side / 2;
  const at::Tensor x = last(at::randn({s.batch, s.in, s.height, s.width})).requires_grad_(true);
  const at::Tensor kernel = last(at::randn({s.out, s.in, s.side, s.side})).requires_grad_(true);
  ASSERT_TRUE(suits_product(x, kernel, s.stride, padding));
  const at::Tensor ours = product_convolution(x, kernel, s.stride, padding);
  const at::Tensor theirs = at::conv2d(x, kernel, {}, s.stride, padding);
  expect_close(ours, theirs, "result");
  EXPECT_TRUE(ours.is_contiguous(at::MemoryFormat::ChannelsLast));
  const at::Tensor weights = at::randn(theirs.sizes());
  const auto our_gradients = torch::autograd::grad({(ours * weights).sum()}, {x, kernel});
  const auto their_gradients = torch::autograd::grad({(theirs * weights).sum()}, {x, kernel});
  expect_close(our_gradients[0], their_gradients[0], "gradient of the input");
  expect_close(our_gradients[1], their_gradients[1], "gradient of the kernel");
  EXPECT_TRUE(our_gradients[1].is_contiguous(at::MemoryFormat::ChannelsLast));
}

INSTANTIATE_TEST_SUITE_P(Shapes, ProductConvolution,
                         testing::Values(Shape{8, 64, 1, 1, 96, 3, 1}, Shape{2, 32, 5, 3, 64, 3, 1},
                                         Shape{2, 32, 5, 4, 64, 3, 2}, Shape{4, 32, 4, 4, 64, 1, 2},
                                         Shape{3, 16, 2, 3, 40, 1, 1}, Shape{1, 3, 9, 7, 32, 7, 2}),
                         [](const auto& test) {
                           const Shape& s = test.param;
                           return std::to_string(s.side) + "x" + std::to_string(s.side) +
                                  "_stride" + std::to_string(s.stride) + "_of" +
                                  std::to_string(s.height) + "x" + std::to_string(s.width);
                         });

TEST(SuitsProduct, IsAMatterOfShapesAndTypes) {
  const at::Tensor kernel = last(at::randn({64, 16, 3, 3}));
  const at::Tensor small = last(at::randn({4, 16, 4, 4}));  // 64 positions
  EXPECT_TRUE(suits_product(small, kernel, 1, 1));
  EXPECT_FALSE(suits_product(last(at::randn({5, 16, 4, 4})), kernel, 1, 1)) << "80 positions";
  EXPECT_TRUE(suits_product(last(at::randn({5, 16, 4, 4})), kernel, 2, 1)) << "20 positions";
  EXPECT_FALSE(suits_product(small, kernel.contiguous(), 1, 1)) << "not in channels-last order";
  EXPECT_FALSE(suits_product(small.to(at::kBFloat16), kernel.to(at::kBFloat16), 1, 1));
  EXPECT_FALSE(suits_product(small.narrow(0, 0, 0), kernel, 1, 1)) << "no samples";
}

}  // namespace
}  // namespace reprise::engine
