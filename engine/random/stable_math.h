// log, exp, sin and cos with the same bits on every machine.
//
// libm's are not: glibc picks variants with and without fused multiply-add by CPU, and they
// round differently. These use nothing but + - * / of IEEE 754 doubles in one fixed order
// (the build sets -ffp-contract=off). Accurate to about 2 ulp, which no caller relies on.
#pragma once

namespace reprise::engine {

// DO NOT CHANGE the bits of these: weights, augmentations and generated scenes hang on them.

// Natural logarithm of a normal, positive x.
double stable_log(double x);
// e^x for |x| <= 700.
double stable_exp(double x);
// x in radians, |x| <= 1e5.
double stable_sin(double x);
double stable_cos(double x);

}  // namespace reprise::engine
