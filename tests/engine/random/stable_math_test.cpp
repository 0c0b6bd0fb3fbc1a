#include "engine/random/stable_math.h"

#include "engine/random/stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace reprise::engine {
namespace {

double relative_error(double value, double expected) {
  return std::abs(value - expected) / std::max(std::abs(expected), 1e-300);
}

TEST(StableMath, AgreesWithLibmToAFewUlp) {
  Stream stream(1, Domain::kNoise);
  for (int i = 0; i < 100000; ++i) {
    const double unit = stream.next_double();
    const double exponent = unit * 1200 - 600;
    EXPECT_LT(relative_error(stable_exp(exponent), std::exp(exponent)), 1e-15) << exponent;
    const double positive = std::exp(exponent);
    EXPECT_LT(std::abs(stable_log(positive) - std::log(positive)),
              1e-15 * std::max(1.0, std::abs(exponent)))
        << positive;
    const double angle = unit * 2000 - 1000;
    EXPECT_NEAR(stable_sin(angle), std::sin(angle), 1e-15) << angle;
    EXPECT_NEAR(stable_cos(angle), std::cos(angle), 1e-15) << angle;
  }
}

TEST(StableMath, ExactPoints) {
  EXPECT_EQ(stable_log(1.0), 0.0);
  EXPECT_EQ(stable_exp(0.0), 1.0);
  EXPECT_EQ(stable_sin(0.0), 0.0);
  EXPECT_EQ(stable_cos(0.0), 1.0);
}

}  // namespace
}  // namespace reprise::engine
