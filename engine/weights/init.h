// How a parameter starts.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace reprise::engine {

struct Init {
  enum class Kind {
    kConstant,         // a
    kNormal,           // mean 0, deviation a
    kTruncatedNormal,  // deviation a, cut at +-2 (timm's and DINO's trunc_normal_ with std a)
    kUniform,          // in [-a, a)
  };
  Kind kind = Kind::kConstant;
  double a = 0;

  static Init constant(double value) { return {Kind::kConstant, value}; }
  static Init truncated_normal(double deviation) { return {Kind::kTruncatedNormal, deviation}; }
  // He et al. 2015, fan out: what torchvision gives convolutions of a ResNet.
  static Init kaiming_normal_fan_out(std::int64_t fan_out);
  // What torch.nn.Linear and Conv2d start with: uniform in +- 1 / sqrt(fan in).
  static Init torch_default(std::int64_t fan_in);
};

// Fills `values` from the stream (seed, Domain::kWeights, name): the same numbers whatever
// other parameters there are and in whatever order they are made.
void initialise(std::span<float> values, const Init& init, std::uint64_t seed,
                std::string_view name);

}  // namespace reprise::engine
