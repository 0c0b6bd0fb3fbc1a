#include "engine/weights/init.h"

#include "engine/random/stream.h"

#include <algorithm>
#include <cmath>

namespace reprise::engine {

Init Init::kaiming_normal_fan_out(std::int64_t fan_out) {
  return {Kind::kNormal, std::sqrt(2.0 / static_cast<double>(fan_out))};
}

Init Init::torch_default(std::int64_t fan_in) {
  return {Kind::kUniform, 1.0 / std::sqrt(static_cast<double>(fan_in))};
}

void initialise(std::span<float> values, const Init& init, std::uint64_t seed,
                std::string_view name) {
  const auto a = static_cast<float>(init.a);
  Stream stream(seed, Domain::kWeights, name);
  switch (init.kind) {
    case Init::Kind::kConstant: std::ranges::fill(values, a); return;
    case Init::Kind::kNormal: stream.fill_normal(values, 0, a); return;
    case Init::Kind::kUniform: stream.fill_uniform(values, -a, a); return;
    case Init::Kind::kTruncatedNormal:
      // torch's trunc_normal_ cuts at +-2 in absolute terms: with a deviation of 0.02 never.
      for (float& value : values) {
        do {
          value = a * stream.normal();
        } while (std::abs(value) > 2);
      }
      return;
  }
}

}  // namespace reprise::engine
