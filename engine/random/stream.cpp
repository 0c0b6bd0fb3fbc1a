#include "engine/random/stream.h"

#include "engine/random/stable_math.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

namespace reprise::engine {
namespace {

// Horner's rule, highest power last in `coefficients`.
template <std::size_t N>
double polynomial(const double (&coefficients)[N], double x) {
  double sum = coefficients[N - 1];
  for (std::size_t i = N - 1; i-- > 0;) {
    sum = sum * x + coefficients[i];
  }
  return sum;
}

// Algorithm AS 241, PPND16: Wichura, "The Percentage Points of the Normal Distribution",
// Applied Statistics 37 (1988). Chosen over Box-Muller and the ziggurat because it takes one
// word per number, so number i of a stream is known without drawing the ones before.
double inverse_normal(double probability) {
  constexpr double kCentralTop[] = {3.3871328727963666080,    1.3314166789178437745e+2,
                                    1.9715909503065514427e+3, 1.3731693765509461125e+4,
                                    4.5921953931549871457e+4, 6.7265770927008700853e+4,
                                    3.3430575583588128105e+4, 2.5090809287301226727e+3};
  constexpr double kCentralBottom[] = {1.0,
                                       4.2313330701600911252e+1,
                                       6.8718700749205790830e+2,
                                       5.3941960214247511077e+3,
                                       2.1213794301586595867e+4,
                                       3.9307895800092710610e+4,
                                       2.8729085735721942674e+4,
                                       5.2264952788528545610e+3};
  constexpr double kMiddleTop[] = {1.42343711074968357734,    4.63033784615654529590,
                                   5.76949722146069140550,    3.64784832476320460504,
                                   1.27045825245236838258,    2.41780725177450611770e-1,
                                   2.27238449892691845833e-2, 7.74545014278341407640e-4};
  constexpr double kMiddleBottom[] = {1.0,
                                      2.05319162663775882187,
                                      1.67638483018380384940,
                                      6.89767334985100004550e-1,
                                      1.48103976427480074590e-1,
                                      1.51986665636164571966e-2,
                                      5.47593808499534494600e-4,
                                      1.05075007164441684324e-9};
  constexpr double kFarTop[] = {6.65790464350110377720,    5.46378491116411436990,
                                1.78482653991729133580,    2.96560571828504891230e-1,
                                2.65321895265761230930e-2, 1.24266094738807843860e-3,
                                2.71155556874348757815e-5, 2.01033439929228813265e-7};
  constexpr double kFarBottom[] = {1.0,
                                   5.99832206555887937690e-1,
                                   1.36929880922735805310e-1,
                                   1.48753612908506148525e-2,
                                   7.86869131145613259100e-4,
                                   1.84631831751005468180e-5,
                                   1.42151175831644588870e-7,
                                   2.04426310338993978564e-15};
  const double centred = probability - 0.5;
  if (centred >= -0.425 && centred <= 0.425) {
    const double r = 0.180625 - centred * centred;
    return centred * polynomial(kCentralTop, r) / polynomial(kCentralBottom, r);
  }
  const double tail = centred < 0 ? probability : 1.0 - probability;
  const double r = std::sqrt(-stable_log(tail));
  const double distance = r <= 5.0
                              ? polynomial(kMiddleTop, r - 1.6) / polynomial(kMiddleBottom, r - 1.6)
                              : polynomial(kFarTop, r - 5.0) / polynomial(kFarBottom, r - 5.0);
  return centred < 0 ? -distance : distance;
}

float normal_of(std::uint32_t word) {
  return static_cast<float>(inverse_normal((static_cast<double>(word) + 0.5) * 0x1p-32));
}

float unit_of(std::uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24F; }

// Scratch size of the fills: small enough for the first-level cache.
constexpr std::size_t kPieceWords = 1024;

template <typename Convert>
void fill_from_words(Stream& stream, std::span<float> values, Convert convert) {
  std::array<std::uint32_t, kPieceWords> words;
  while (!values.empty()) {
    const std::size_t count = std::min(values.size(), words.size());
    stream.fill_u32(std::span(words).first(count));
    std::transform(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(count),
                   values.begin(), convert);
    values = values.subspan(count);
  }
}

}  // namespace

Stream::Stream(std::uint64_t seed, Domain domain, std::initializer_list<std::uint64_t> indices) {
  identity_ = philox4x32(
      {static_cast<std::uint32_t>(domain), static_cast<std::uint32_t>(indices.size()), 0, 0},
      {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  for (const std::uint64_t index : indices) {
    absorb(index);
  }
}

Stream::Stream(std::uint64_t seed, Domain domain, std::string_view name) {
  // The third counter word sets names apart from indices.
  identity_ =
      philox4x32({static_cast<std::uint32_t>(domain), 0, 1, 0},
                 {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  absorb(name.size());
  for (std::size_t at = 0; at < name.size(); at += 8) {
    std::uint64_t piece = 0;
    std::memcpy(&piece, name.data() + at, std::min<std::size_t>(8, name.size() - at));
    absorb(piece);
  }
}

void Stream::absorb(std::uint64_t value) {
  identity_ = philox4x32({static_cast<std::uint32_t>(value),
                          static_cast<std::uint32_t>(value >> 32), identity_[2], identity_[3]},
                         {identity_[0], identity_[1]});
}

PhiloxCounter Stream::block(std::uint64_t number) const {
  return philox4x32({static_cast<std::uint32_t>(number), static_cast<std::uint32_t>(number >> 32),
                     identity_[2], identity_[3]},
                    {identity_[0], identity_[1]});
}

std::uint32_t Stream::next_u32() {
  if (used_ == words_.size()) {
    words_ = block(next_block_++);
    used_ = 0;
  }
  return words_[used_++];
}

std::uint64_t Stream::next_u64() {
  const std::uint64_t low = next_u32();
  return low | static_cast<std::uint64_t>(next_u32()) << 32;
}

float Stream::next_float() { return unit_of(next_u32()); }

double Stream::next_double() { return static_cast<double>(next_u64() >> 11) * 0x1p-53; }

float Stream::uniform(float low, float high) { return low + (high - low) * next_float(); }

bool Stream::chance(double probability) {
  return static_cast<double>(next_u32()) * 0x1p-32 < probability;
}

std::uint64_t Stream::below(std::uint64_t bound) {
  // Lemire, "Fast Random Integer Generation in an Interval", ACM TOMACS 29 (2019).
  using Wide = unsigned __int128;
  Wide product = static_cast<Wide>(next_u64()) * bound;
  if (static_cast<std::uint64_t>(product) < bound) {
    const std::uint64_t threshold = (0 - bound) % bound;
    while (static_cast<std::uint64_t>(product) < threshold) {
      product = static_cast<Wide>(next_u64()) * bound;
    }
  }
  return static_cast<std::uint64_t>(product >> 64);
}

float Stream::normal() { return normal_of(next_u32()); }

void Stream::fill_u32(std::span<std::uint32_t> words) {
  used_ = 4;
  // Blocks side by side, in arrays of one word each, which the compiler turns into SIMD.
  constexpr std::size_t kLanes = 16;
  while (!words.empty()) {
    std::array<std::uint32_t, kLanes> c0, c1, c2, c3;
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const std::uint64_t number = next_block_ + lane;
      c0[lane] = static_cast<std::uint32_t>(number);
      c1[lane] = static_cast<std::uint32_t>(number >> 32);
      c2[lane] = identity_[2];
      c3[lane] = identity_[3];
    }
    std::uint32_t key0 = identity_[0];
    std::uint32_t key1 = identity_[1];
    for (int round = 0; round < 10; ++round) {
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        const std::uint64_t product0 = std::uint64_t{0xD2511F53} * c0[lane];
        const std::uint64_t product1 = std::uint64_t{0xCD9E8D57} * c2[lane];
        c0[lane] = static_cast<std::uint32_t>(product1 >> 32) ^ c1[lane] ^ key0;
        c1[lane] = static_cast<std::uint32_t>(product1);
        c2[lane] = static_cast<std::uint32_t>(product0 >> 32) ^ c3[lane] ^ key1;
        c3[lane] = static_cast<std::uint32_t>(product0);
      }
      key0 += 0x9E3779B9;
      key1 += 0xBB67AE85;
    }
    const std::size_t count = std::min(words.size(), 4 * kLanes);
    for (std::size_t i = 0; i < count; ++i) {
      const std::array<std::uint32_t, 4> block_words{c0[i / 4], c1[i / 4], c2[i / 4], c3[i / 4]};
      words[i] = block_words[i % 4];
    }
    next_block_ += (count + 3) / 4;
    words = words.subspan(count);
  }
}

void Stream::fill_uniform(std::span<float> values, float low, float high) {
  fill_from_words(*this, values,
                  [=](std::uint32_t word) { return low + (high - low) * unit_of(word); });
}

void Stream::fill_normal(std::span<float> values, float mean, float deviation) {
  fill_from_words(*this, values,
                  [=](std::uint32_t word) { return mean + deviation * normal_of(word); });
}

void Stream::fill_keep_mask(std::span<float> values, float keep) {
  const double threshold = static_cast<double>(keep) * 0x1p32;
  const float kept = 1.0F / keep;
  fill_from_words(*this, values, [=](std::uint32_t word) {
    return static_cast<double>(word) < threshold ? kept : 0.0F;
  });
}

std::vector<std::uint64_t> permutation(Stream stream, std::uint64_t count) {
  std::vector<std::uint64_t> order(count);
  std::iota(order.begin(), order.end(), std::uint64_t{0});
  for (std::uint64_t left = count; left > 1; --left) {
    std::swap(order[left - 1], order[stream.below(left)]);
  }
  return order;
}

std::vector<std::uint64_t> sample_order(std::uint64_t seed, std::uint64_t epoch,
                                        std::uint64_t count) {
  return permutation(Stream(seed, Domain::kOrder, {epoch}), count);
}

}  // namespace reprise::engine
