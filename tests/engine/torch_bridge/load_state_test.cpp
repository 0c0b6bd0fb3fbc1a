#include "engine/torch_bridge/load_state.h"
#include "ckpt/base/error.h"
#include "engine/models/network.h"
#include "engine/torch_bridge/tensor.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace reprise::engine {
namespace {

TEST(TensorView, SharesMemoryAndOutlivesTheTensor) {
  at::Tensor tensor = at::arange(12, at::kFloat).view({3, 4});
  Tensor view = view_of(tensor.t());
  tensor.fill_(7);
  tensor = at::Tensor();
  EXPECT_EQ(view.shape(), (Shape{4, 3}));
  EXPECT_EQ(view.strides(), (Shape{1, 4}));
  EXPECT_TRUE(copy_of(view).eq(7).all().item<bool>());
}

TEST(TensorView, OfAParameterCoversItsOwnBytesOnly) {
  const at::Tensor flat = at::zeros({1000});
  EXPECT_EQ(view_of(flat.narrow(0, 16, 10)).storage()->size_bytes(), 40U);
}

TEST(TensorView, EveryElementTypeComesBackBitForBit) {
  for (const at::ScalarType type : {at::kBool, at::kByte, at::kShort, at::kLong, at::kHalf,
                                    at::kBFloat16, at::kDouble, at::kComplexFloat}) {
    const at::Tensor tensor = at::arange(6).to(type).view({2, 3});
    const at::Tensor back = copy_of(view_of(tensor));
    EXPECT_EQ(back.scalar_type(), type);
    EXPECT_TRUE(at::equal(back, tensor));
  }
}

TEST(LoadState, ConvertsBetweenFloatingPointTypes) {
  const at::Tensor target = at::zeros({3});
  copy_into(view_of(at::full({3}, 1.5, at::kHalf)), target);
  EXPECT_TRUE(target.eq(1.5).all().item<bool>());
}

TEST(LoadState, StrictReportsAllThatDoesNotFitAndWritesNothing) {
  const std::vector<NamedTensor> targets{
      {"a", at::zeros({2})}, {"b", at::zeros({3})}, {"c", at::zeros({1})}};
  const StateDict source =
      state_of({{"a", at::ones({2})}, {"b", at::ones({4})}, {"stranger", at::ones({1})}});
  try {
    load_state(source, targets, true);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kMismatch);
    const std::string text = error.what();
    for (const char* part : {"c", "stranger", "b: shape [4] in the checkpoint, [3]", "ckpt ls"}) {
      EXPECT_NE(text.find(part), std::string::npos) << part << " in " << text;
    }
  }
  EXPECT_TRUE(targets[0].tensor.eq(0).all().item<bool>());

  const KeyReport report = load_state(source, targets, false);
  EXPECT_EQ(report.loaded, std::vector<std::string>{"a"});
  EXPECT_EQ(report.missing, std::vector<std::string>{"c"});
  EXPECT_EQ(report.unexpected, std::vector<std::string>{"stranger"});
  ASSERT_EQ(report.mismatched.size(), 1U);
  EXPECT_TRUE(targets[0].tensor.eq(1).all().item<bool>());
}

TEST(LoadState, PositionEmbeddingsOfAnotherImageSizeAreInterpolated) {
  NetworkOptions options;
  options.arch = "vit_tiny";
  options.image_size = 32;
  options.patch_size = 8;
  const auto small = build_network(options);
  options.image_size = 64;
  const auto large = build_network(options);
  const Weights from = Weights::initialised(small->layout(), 1);
  const Weights to(large->layout());
  EXPECT_THROW(load_state(state_of(from.named()), to.named(), true), Error);
  const KeyReport report = load_state(state_of(from.named()), to.named(), true, large->adapt());
  EXPECT_EQ(report.adapted, std::vector<std::string>{"pos_embed"});
  // LibTorch's own bicubic interpolation of the grid, the class token apart.
  const auto positions = [](const Weights& weights) {
    for (const NamedTensor& item : weights.named("pos_embed")) return item.tensor;
    return at::Tensor();
  };
  const at::Tensor grid =
      positions(from).narrow(1, 1, 16).view({1, 4, 4, 192}).permute({0, 3, 1, 2});
  const at::Tensor expected =
      at::upsample_bicubic2d(grid, {8, 8}, false).flatten(2).transpose(1, 2);
  EXPECT_TRUE(at::allclose(positions(to).narrow(1, 1, 64), expected, 1e-5, 1e-6));
  EXPECT_TRUE(at::equal(positions(to).narrow(1, 0, 1), positions(from).narrow(1, 0, 1)));
}

TEST(Networks, AnUnknownArchitectureNamesTheNearest) {
  NetworkOptions options;
  options.arch = "resnet81";
  try {
    build_network(options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUsage);
    EXPECT_NE(std::string(error.what()).find("resnet18"), std::string::npos) << error.what();
  }
}

TEST(Networks, AnImageThatIsNoMultipleOfThePatchIsAnError) {
  NetworkOptions options;
  options.arch = "vit_tiny";
  options.image_size = 30;
  EXPECT_THROW(build_network(options), Error);
}

}  // namespace
}  // namespace reprise::engine
