// A convolution in another type than its kernel's against autograd on a converted kernel, bit by
// bit.
#include "engine/models/cast_convolution.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <functional>
#include <utility>
#include <vector>

namespace reprise::engine {
namespace {

using Convolve = std::function<at::Tensor(const at::Tensor& x, const at::Tensor& kernel)>;

class CastConvolution : public testing::TestWithParam<at::ScalarType> {
 protected:
  CastConvolution() { at::manual_seed(1); }

  at::Tensor theirs(const at::Tensor& x, const at::Tensor& kernel) const {
    return at::conv2d(x, kernel.to(GetParam()), {}, kStride, kPadding);
  }
  at::Tensor ours(const at::Tensor& x, const at::Tensor& kernel) const {
    return cast_convolution(x, kernel, kStride, kPadding);
  }

  static constexpr std::int64_t kStride = 2, kPadding = 1;
  const at::Tensor kernel_ =
      at::randn({24, 16, 3, 3}).contiguous(at::MemoryFormat::ChannelsLast).requires_grad_(true);
};

TEST_P(CastConvolution, HasTheBitsOfAConvertedKernel) {
  const at::Tensor x = at::randn({4, 16, 9, 7}).to(GetParam()).requires_grad_(true);
  const at::Tensor expected = theirs(x, kernel_), found = ours(x, kernel_);
  EXPECT_EQ(found.scalar_type(), GetParam());
  EXPECT_TRUE(at::equal(found, expected));
  const at::Tensor weights = at::randn(expected.sizes()).to(GetParam());
  const auto before = torch::autograd::grad({(expected * weights).sum()}, {x, kernel_});
  const auto after = torch::autograd::grad({(found * weights).sum()}, {x, kernel_});
  EXPECT_TRUE(at::equal(after[0], before[0])) << "gradient of the input";
  EXPECT_TRUE(at::equal(after[1], before[1])) << "gradient of the kernel";
  EXPECT_EQ(after[1].scalar_type(), at::kFloat);
  EXPECT_EQ(after[1].strides(), before[1].strides());
}

// Of images of one pixel, oneDNN's gradient of a kernel's outer columns is what the memory held.
TEST_P(CastConvolution, GradientsHoldNothingOfWhatLayInMemory) {
  for (const auto& [height, width] : {std::pair(1, 1), std::pair(3, 1), std::pair(1, 3)}) {
    const at::Tensor x =
        at::randn({8, 64, height, width}).to(GetParam()).contiguous(at::MemoryFormat::ChannelsLast);
    const at::Tensor kernel =
        at::randn({128, 64, 3, 3}).contiguous(at::MemoryFormat::ChannelsLast).requires_grad_(true);
    const at::Tensor exact = torch::autograd::grad(
        {at::conv2d(x.to(at::kFloat), kernel, {}, kStride, kPadding).sum()}, {kernel})[0];
    for (int i = 0; i < 4; ++i) {
      {
        // The memory that a gradient is likely to get.
        std::vector<at::Tensor> poison;
        for (int k = 0; k < 6; ++k) {
          poison.push_back(at::full({kernel.numel() / (1 + i % 2)}, NAN));
        }
      }
      const at::Tensor found = torch::autograd::grad({ours(x, kernel).sum()}, {kernel})[0];
      EXPECT_TRUE(at::allclose(found, exact, 0.02, 0.02)) << height << "x" << width;
      EXPECT_TRUE(at::equal(found.eq(0), exact.eq(0))) << height << "x" << width;
    }
  }
}

// As a student's that sees several crops: gradients are added in the kernel's type.
TEST_P(CastConvolution, ThatIsUsedTwiceAddsGradientsInFloat) {
  const at::Tensor x = at::randn({4, 16, 9, 7}).to(GetParam());
  const auto gradient = [&](const Convolve& convolve) {
    const at::Tensor sum = convolve(x, kernel_).sum() + convolve(x * 3, kernel_).square().sum();
    return torch::autograd::grad({sum}, {kernel_})[0];
  };
  const at::Tensor expected = gradient([&](const auto& a, const auto& b) { return theirs(a, b); });
  EXPECT_TRUE(
      at::equal(gradient([&](const auto& a, const auto& b) { return ours(a, b); }), expected));
}

// The first layer's images, and a frozen network.
TEST_P(CastConvolution, ComputesOnlyTheGradientsThatAreAskedFor) {
  const at::Tensor x = at::randn({4, 16, 9, 7}).to(GetParam());
  const at::Tensor found = torch::autograd::grad({ours(x, kernel_).sum()}, {kernel_})[0];
  EXPECT_TRUE(at::equal(found, torch::autograd::grad({theirs(x, kernel_).sum()}, {kernel_})[0]));
  const at::Tensor frozen = kernel_.detach();
  EXPECT_FALSE(ours(x, frozen).requires_grad());
  const at::Tensor learning = x.clone().requires_grad_(true);
  EXPECT_TRUE(at::equal(torch::autograd::grad({ours(learning, frozen).sum()}, {learning})[0],
                        torch::autograd::grad({theirs(learning, frozen).sum()}, {learning})[0]));
}

INSTANTIATE_TEST_SUITE_P(Types, CastConvolution, testing::Values(at::kBFloat16, at::kHalf),
                         [](const auto& test) { return c10::toString(test.param); });

}  // namespace
}  // namespace reprise::engine
