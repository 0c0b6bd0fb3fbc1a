#include "engine/random/stable_math.h"

#include <bit>
#include <cstdint>

namespace reprise::engine {
namespace {

// ln 2 in two parts: the first has 20 zero bits at its end, so a product with a small integer
// is exact. Constants and the polynomial of log are those of fdlibm's e_log.c.
constexpr double kLn2High = 6.93147180369123816490e-01;
constexpr double kLn2Low = 1.90821492927058770002e-10;
constexpr double kInverseLn2 = 1.44269504088896338700e+00;

// pi / 2 likewise, in three parts (fdlibm's e_rem_pio2.c).
constexpr double kHalfPi1 = 1.57079632673412561417e+00;
constexpr double kHalfPi2 = 6.07710050630396597660e-11;
constexpr double kHalfPi3 = 2.02226624879595063154e-21;
constexpr double kInverseHalfPi = 6.36619772367581382433e-01;

// 2^exponent for a normal result.
double power_of_two(int exponent) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52);
}

// Halves away from zero. Not std::lrint, which follows the rounding mode.
int nearest_integer(double x) { return static_cast<int>(x < 0 ? x - 0.5 : x + 0.5); }

// Taylor series in r on [-pi/4, pi/4]: the first term left out is below 1e-17.
double sine_kernel(double r) {
  const double z = r * r;
  const double p =
      z * (-1.0 / 6 +
           z * (1.0 / 120 +
                z * (-1.0 / 5040 + z * (1.0 / 362880 + z * (-1.0 / 39916800 +
                                                            z * (1.0 / 6227020800.0 +
                                                                 z * (-1.0 / 1307674368000.0)))))));
  return r + r * p;
}

double cosine_kernel(double r) {
  const double z = r * r;
  return 1.0 + z * (-1.0 / 2 +
                    z * (1.0 / 24 +
                         z * (-1.0 / 720 +
                              z * (1.0 / 40320 + z * (-1.0 / 3628800 +
                                                      z * (1.0 / 479001600 +
                                                           z * (-1.0 / 87178291200.0 +
                                                                z * (1.0 / 20922789888000.0))))))));
}

// sin(x + quarter_turns * pi / 2).
double sine_of(double x, int quarter_turns) {
  const int n = nearest_integer(x * kInverseHalfPi);
  const double r = ((x - n * kHalfPi1) - n * kHalfPi2) - n * kHalfPi3;
  switch ((n + quarter_turns) & 3) {
    case 0: return sine_kernel(r);
    case 1: return cosine_kernel(r);
    case 2: return -sine_kernel(r);
    default: return -cosine_kernel(r);
  }
}

}  // namespace

double stable_log(double x) {
  const auto bits = std::bit_cast<std::uint64_t>(x);
  int exponent = static_cast<int>(bits >> 52) - 1023;
  double mantissa = std::bit_cast<double>((bits & 0x000FFFFFFFFFFFFFU) | 0x3FF0000000000000U);
  if (mantissa > 1.41421356237309504880) {
    mantissa *= 0.5;
    ++exponent;
  }
  const double f = mantissa - 1.0;
  const double s = f / (2.0 + f);
  const double z = s * s;
  const double w = z * z;
  const double even = w * (3.999999999940941908e-01 +
                           w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
  const double odd = z * (6.666666666666735130e-01 +
                          w * (2.857142874366239149e-01 +
                               w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
  const double half_square = 0.5 * f * f;
  return exponent * kLn2High -
         ((half_square - (s * (half_square + (even + odd)) + exponent * kLn2Low)) - f);
}

double stable_exp(double x) {
  const int k = nearest_integer(x * kInverseLn2);
  const double r = (x - k * kLn2High) - k * kLn2Low;
  // Horner of the Taylor series to the 13th power: |r| <= 0.35, the rest is below 1e-17.
  double sum = 1.0;
  for (int n = 13; n >= 1; --n) {
    sum = 1.0 + sum * r / n;
  }
  return sum * power_of_two(k);
}

double stable_sin(double x) { return sine_of(x, 0); }

double stable_cos(double x) { return sine_of(x, 1); }

}  // namespace reprise::engine
