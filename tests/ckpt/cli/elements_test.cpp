#include "ckpt/cli/elements.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace reprise::cli {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

template <typename T>
double decoded(DType dtype, T bits) {
  std::vector<double> out;
  to_doubles(dtype, std::as_bytes(std::span(&bits, 1)), out);
  return out.at(0);
}

template <typename T>
T encoded(DType dtype, double value) {
  T bits{};
  from_doubles(dtype, std::span(&value, 1), std::as_writable_bytes(std::span(&bits, 1)));
  return bits;
}

// Values from the formats' definitions: IEEE 754 binary16, bfloat16, OCP FP8.
TEST(Elements, DecodesTheCornersOfSmallFloats) {
  EXPECT_EQ(decoded<std::uint16_t>(DType::kFloat16, 0x3C00), 1.0);
  EXPECT_EQ(decoded<std::uint16_t>(DType::kFloat16, 0x7BFF), 65504.0);
  EXPECT_EQ(decoded<std::uint16_t>(DType::kFloat16, 0x0001), std::ldexp(1, -24));
  EXPECT_EQ(decoded<std::uint16_t>(DType::kFloat16, 0xFC00), -kInf);
  EXPECT_TRUE(std::isnan(decoded<std::uint16_t>(DType::kFloat16, 0x7E00)));
  EXPECT_EQ(decoded<std::uint16_t>(DType::kBFloat16, 0x4049), 3.140625);
  EXPECT_EQ(decoded<std::uint8_t>(DType::kFloat8E4M3FN, 0x7E), 448.0);
  EXPECT_TRUE(std::isnan(decoded<std::uint8_t>(DType::kFloat8E4M3FN, 0x7F)));
  EXPECT_EQ(decoded<std::uint8_t>(DType::kFloat8E5M2, 0x7B), 57344.0);
  EXPECT_EQ(decoded<std::uint8_t>(DType::kFloat8E5M2, 0x7C), kInf);
  EXPECT_EQ(decoded<std::uint8_t>(DType::kFloat8E4M3FNUZ, 0x7F), 240.0);
  EXPECT_TRUE(std::isnan(decoded<std::uint8_t>(DType::kFloat8E4M3FNUZ, 0x80)));
  EXPECT_EQ(decoded<std::uint8_t>(DType::kFloat8E5M2FNUZ, 0x7F), 57344.0);
  EXPECT_EQ(decoded<std::uint8_t>(DType::kFloat8E8M0FNU, 127), 1.0);
}

TEST(Elements, EncodingReversesDecodingForEveryBitPattern) {
  for (unsigned bits = 0; bits < 65536; ++bits) {
    for (const DType dtype : {DType::kFloat16, DType::kBFloat16}) {
      const double value = decoded(dtype, static_cast<std::uint16_t>(bits));
      if (!std::isnan(value)) {
        ASSERT_EQ(encoded<std::uint16_t>(dtype, value), bits) << name(dtype);
      }
    }
  }
  for (unsigned bits = 0; bits < 256; ++bits) {
    for (const DType dtype : {DType::kFloat8E4M3FN, DType::kFloat8E5M2, DType::kFloat8E4M3FNUZ,
                              DType::kFloat8E5M2FNUZ, DType::kFloat8E8M0FNU}) {
      const double value = decoded(dtype, static_cast<std::uint8_t>(bits));
      if (!std::isnan(value)) {
        ASSERT_EQ(encoded<std::uint8_t>(dtype, value), bits) << name(dtype);
      } else {
        ASSERT_TRUE(std::isnan(decoded(dtype, encoded<std::uint8_t>(dtype, value)))) << name(dtype);
      }
    }
  }
}

TEST(Elements, RoundsToNearestTiesToEven) {
  EXPECT_EQ(encoded<std::uint16_t>(DType::kFloat16, 1 + std::ldexp(1, -11)), 0x3C00);
  EXPECT_EQ(encoded<std::uint16_t>(DType::kFloat16, 1 + std::ldexp(3, -11)), 0x3C02);
  EXPECT_EQ(encoded<std::uint16_t>(DType::kFloat16, 1 + std::ldexp(1, -11) + 1e-9), 0x3C01);
  EXPECT_EQ(encoded<std::uint16_t>(DType::kFloat16, 65520), 0x7C00);
  EXPECT_EQ(encoded<std::uint16_t>(DType::kFloat16, 65519.9), 0x7BFF);
  EXPECT_EQ(encoded<std::int8_t>(DType::kInt8, 2.5), 2);
  EXPECT_EQ(encoded<std::int8_t>(DType::kInt8, 300), 127);
  EXPECT_EQ(encoded<std::int64_t>(DType::kInt64, 1e30), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(encoded<std::uint64_t>(DType::kUInt64, -5), 0U);
}

TEST(Elements, UlpCountsNumbersBetween) {
  const auto ulp = [](auto a, auto b, DType dtype) {
    return ulp_distance(dtype, std::as_bytes(std::span(&a, 1)), std::as_bytes(std::span(&b, 1)), 0);
  };
  EXPECT_EQ(ulp(1.0F, std::nextafter(1.0F, 2.0F), DType::kFloat32), 1U);
  EXPECT_EQ(ulp(0.0F, -0.0F, DType::kFloat32), 0U);
  const double smallest = std::numeric_limits<double>::denorm_min();
  EXPECT_EQ(ulp(smallest, -smallest, DType::kFloat64), 2U);
  EXPECT_EQ(ulp(std::uint16_t{0x3C00}, std::uint16_t{0x3C03}, DType::kFloat16), 3U);
  EXPECT_EQ(ulp(std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max(),
                DType::kInt64),
            std::numeric_limits<std::uint64_t>::max());
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(ulp(nan, nan, DType::kFloat32), 0U);
  EXPECT_EQ(ulp(nan, 1.0F, DType::kFloat32), std::numeric_limits<std::uint64_t>::max());
}

}  // namespace
}  // namespace reprise::cli
