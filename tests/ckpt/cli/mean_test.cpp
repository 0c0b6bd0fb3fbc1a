#include "ckpt/cli/mean_storage.h"

#include "ckpt/base/error.h"
#include "tests/ckpt/store/sample_checkpoint.h"

#include <gtest/gtest.h>

namespace reprise::cli {
namespace {

Tensor of(std::vector<float> values, Shape shape) {
  return Tensor::copy_of(DType::kFloat32, std::move(shape), std::as_bytes(std::span(values)));
}

std::vector<float> values(const Tensor& tensor) {
  const auto bytes = tensor.to_bytes();
  std::vector<float> numbers(bytes.size() / 4);
  std::memcpy(numbers.data(), bytes.data(), bytes.size());
  return numbers;
}

TEST(Mean, IsElementWise) {
  EXPECT_EQ(values(mean_of({of({1, 2}, {2}), of({3, 6}, {2})})), (std::vector<float>{2, 4}));
}

TEST(Mean, PiecesEqualTheWhole) {
  const Tensor mean =
      mean_of({sample::floats({300'000}, 1), sample::floats({300'000}, 0.1F, 0.3F)});
  const auto whole = mean.to_bytes();
  std::vector<std::byte> piece(1001);
  for (const std::uint64_t offset : {0U, 3U, 65536U * 4U - 2U, 1'000'000U}) {
    mean.storage()->read(offset, piece);
    EXPECT_TRUE(
        std::equal(piece.begin(), piece.end(), whole.begin() + static_cast<std::ptrdiff_t>(offset)))
        << offset;
  }
}

TEST(Mean, TakesStridedTensorsByTheirValues) {
  const Tensor base = of({1, 2, 3, 4}, {2, 2});
  const Tensor transposed = Tensor::make(DType::kFloat32, {2, 2}, {1, 2}, 0, base.storage());
  EXPECT_EQ(values(mean_of({base, transposed})), (std::vector<float>{1, 2.5F, 2.5F, 4}));
}

TEST(Mean, IntegersAreRoundedToEven) {
  const std::int64_t a = 4;
  const std::int64_t b = 5;
  const Tensor mean =
      mean_of({Tensor::copy_of(DType::kInt64, {}, std::as_bytes(std::span(&a, 1))),
               Tensor::copy_of(DType::kInt64, {}, std::as_bytes(std::span(&b, 1)))});
  EXPECT_EQ(load_little<std::int64_t>(mean.to_bytes().data()), 4);
}

TEST(Mean, QuantizedValuesHaveNone) {
  const std::byte value{3};
  const Tensor q = Tensor::copy_of(DType::kQInt8, {1}, {&value, 1});
  EXPECT_THROW(mean_of({q, q}), Error);
}

}  // namespace
}  // namespace reprise::cli
