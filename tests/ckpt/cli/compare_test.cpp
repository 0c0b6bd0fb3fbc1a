#include "ckpt/cli/compare.h"

#include "tests/ckpt/store/sample_checkpoint.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace reprise::cli {
namespace {

template <typename T>
Tensor of(DType dtype, std::vector<T> values, Shape shape) {
  return Tensor::copy_of(dtype, std::move(shape), std::as_bytes(std::span(values)));
}

TEST(Compare, EqualBitsAreEqualAlsoForNan) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(
      compare(of<float>(DType::kFloat32, {1, nan}, {2}), of<float>(DType::kFloat32, {1, nan}, {2}))
          .equal);
}

TEST(Compare, SignOfZeroIsADifferenceOfBitsNotOfValue) {
  const Difference d =
      compare(of<float>(DType::kFloat32, {0.0F}, {1}), of<float>(DType::kFloat32, {-0.0F}, {1}));
  EXPECT_FALSE(d.equal);
  EXPECT_EQ(d.differing, 1U);
  EXPECT_EQ(d.max_abs, 0);
  EXPECT_EQ(d.max_ulp, 0U);
}

TEST(Compare, StridedAndContiguousAreComparedByValue) {
  const Tensor base = of<float>(DType::kFloat32, {1, 2, 3, 4}, {2, 2});
  const Tensor transposed = Tensor::make(DType::kFloat32, {2, 2}, {1, 2}, 0, base.storage());
  EXPECT_TRUE(compare(transposed, of<float>(DType::kFloat32, {1, 3, 2, 4}, {2, 2})).equal);
}

TEST(Compare, FirstIndexIsThatOfTheElement) {
  std::vector<float> a(24, 1);
  std::vector<float> b = a;
  b[17] = 2;
  EXPECT_EQ(
      compare(of(DType::kFloat32, a, {2, 3, 4}), of(DType::kFloat32, b, {2, 3, 4})).first_index,
      (std::vector<std::int64_t>{1, 1, 1}));
  // Complex: two numbers an element.
  EXPECT_EQ(compare(of(DType::kComplex64, a, {12}), of(DType::kComplex64, b, {12})).first_index,
            (std::vector<std::int64_t>{8}));
}

TEST(Compare, LargeIntegersThatAreOneApartDiffer) {
  const std::int64_t big = (std::int64_t{1} << 60) + 1;
  const Difference d = compare(of<std::int64_t>(DType::kInt64, {big}, {}),
                               of<std::int64_t>(DType::kInt64, {big - 1}, {}));
  EXPECT_FALSE(d.equal);
  EXPECT_EQ(d.max_abs, 1);
  EXPECT_EQ(d.max_ulp, 1U);
}

TEST(Compare, OtherElementTypeIsNotEqualButMeasured) {
  const Difference d =
      compare(of<float>(DType::kFloat32, {1, 2}, {2}), of<double>(DType::kFloat64, {1, 2.5}, {2}));
  EXPECT_FALSE(d.same_dtype);
  EXPECT_FALSE(d.equal);
  EXPECT_EQ(d.max_abs, 0.5);
}

TEST(Compare, InfinityAgainstItselfIsNoDistance) {
  const float inf = std::numeric_limits<float>::infinity();
  const Difference d =
      compare(of<float>(DType::kFloat32, {inf, 1}, {2}), of<float>(DType::kFloat32, {inf, 2}, {2}));
  EXPECT_EQ(d.max_abs, 1);
  EXPECT_TRUE(std::isinf(
      compare(of<float>(DType::kFloat32, {inf}, {1}), of<float>(DType::kFloat32, {-inf}, {1}))
          .max_abs));
}

}  // namespace
}  // namespace reprise::cli
