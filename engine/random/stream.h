// Streams of random numbers that are pure functions of (seed, domain, indices): never of a
// rank, a worker, a thread, or of what was drawn before.
#pragma once

#include "engine/random/philox.h"

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

namespace reprise::engine {

// What the numbers are for. Two domains never share a stream, whatever their indices.
// DO NOT CHANGE THESE VALUES: they are part of what a seed means. New ones go to the end.
enum class Domain : std::uint32_t {
  kWeights = 1,       // seed, parameter name
  kOrder = 2,         // seed, epoch
  kAugmentation = 3,  // seed, epoch, sample id, view
  kTokenMask = 4,     // seed, epoch, sample id
  kDropout = 5,       // seed, update, shard, layer
  kDropPath = 6,      // seed, update, shard, layer
  kNoise = 7,         // seed, update, shard, layer
  kEvaluation = 8,    // seed, whatever evaluation needs: never shared with training
  kMultiScale = 9,    // seed, update
  kGenerated = 10,    // built-in data sets: fixed seed, set, sample id
};

// A sequence of random words with its own identity of 128 bits. A value: copy it to draw
// the same numbers twice. One thread at a time. Made in about 10 ns + 5 ns an index; it
// holds no heap memory. Every draw is done in exact integer arithmetic, or in + - * / and
// sqrt of IEEE 754, never through libm, so the bits are the same on every machine.
//
// DO NOT CHANGE how keys are derived or how words become numbers, for the reason above.
class Stream {
 public:
  // `indices` as the Domain says, in that order; their number is part of the identity.
  Stream(std::uint64_t seed, Domain domain, std::initializer_list<std::uint64_t> indices = {});
  // The stream of a name (a parameter's), of any bytes and length.
  Stream(std::uint64_t seed, Domain domain, std::string_view name);

  std::uint32_t next_u32();
  // Two words of next_u32, the first one low.
  std::uint64_t next_u64();
  // Uniform in [0, 1) with 24 and with 53 bits; one word, two words.
  float next_float();
  double next_double();
  // Uniform in [low, high); one word. The upper bound can be reached by rounding.
  float uniform(float low, float high);
  // Whether an event of probability `probability` happens; one word. 0 never, 1 always.
  bool chance(double probability);
  // Uniform in [0, bound) without bias (Lemire 2019, with rejection); `bound` > 0.
  std::uint64_t below(std::uint64_t bound);
  // Standard normal, one word each: the inverse normal distribution (Wichura's AS 241,
  // PPND16) of (word + 1/2) / 2^32, so |x| < 6.34. Rounded to float last.
  float normal();

  // The same numbers as that many calls one by one, from a fresh block of four words on
  // (what is left of the block drawn last is dropped); several times faster.
  void fill_u32(std::span<std::uint32_t> words);
  void fill_uniform(std::span<float> values, float low, float high);
  void fill_normal(std::span<float> values, float mean, float deviation);
  // 0 with probability 1 - keep, else 1 / keep: multiply by it for inverted dropout.
  void fill_keep_mask(std::span<float> values, float keep);

 private:
  void absorb(std::uint64_t value);
  PhiloxCounter block(std::uint64_t number) const;

  std::array<std::uint32_t, 4> identity_{};
  std::uint64_t next_block_ = 0;
  PhiloxCounter words_{};
  unsigned used_ = 4;
};

// 0 .. count - 1 in random order (Fisher-Yates from the end).
std::vector<std::uint64_t> permutation(Stream stream, std::uint64_t count);

// The order in which an epoch visits `count` samples: permutation of (seed, kOrder, epoch).
std::vector<std::uint64_t> sample_order(std::uint64_t seed, std::uint64_t epoch,
                                        std::uint64_t count);

}  // namespace reprise::engine
