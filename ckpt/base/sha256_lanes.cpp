#include "ckpt/base/sha256_lanes.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 warns of a variable in its own avx512fintrin.h.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

namespace reprise {

namespace {

// FIPS 180-4, 4.2.2.
alignas(16) constexpr std::uint32_t kRoundConstants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

struct CpuFeatures {
  bool sha = false;
  bool wide = false;
};

CpuFeatures detect() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return {};
  const bool sse41 = (c & bit_SSE4_1) != 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return {};
  // AVX-512 also has to be switched on by the kernel, which the compiler's own check asks.
  return {
      .sha = sse41 && (b & bit_SHA) != 0,
      .wide = __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0};
}

const CpuFeatures& features() {
  static const CpuFeatures found = detect();
  return found;
}

// By SHA extensions. Their registers hold A B E F and C D G H, each from the highest word down.
template <std::size_t kLanes>
__attribute__((target("sha,sse4.1,ssse3"))) void compress(Sha256Chain* const (&chains)[kLanes],
                                                          const std::byte* const (&inputs)[kLanes],
                                                          std::size_t blocks) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  __m128i abef[kLanes], cdgh[kLanes], words[kLanes][4];
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    const std::uint32_t* const s = chains[lane]->words;
    const auto set = [](std::uint32_t high, std::uint32_t b, std::uint32_t c, std::uint32_t low) {
      return _mm_set_epi32(static_cast<int>(high), static_cast<int>(b), static_cast<int>(c),
                           static_cast<int>(low));
    };
    abef[lane] = set(s[0], s[1], s[4], s[5]);
    cdgh[lane] = set(s[2], s[3], s[6], s[7]);
  }
  for (std::size_t block = 0; block < blocks; ++block) {
    __m128i abef_before[kLanes], cdgh_before[kLanes];
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      abef_before[lane] = abef[lane];
      cdgh_before[lane] = cdgh[lane];
    }
#pragma GCC unroll 16
    for (int group = 0; group < 16; ++group) {
      const __m128i constants =
          _mm_load_si128(reinterpret_cast<const __m128i*>(kRoundConstants + group * 4));
#pragma GCC unroll 2
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        __m128i* const w = words[lane];
        __m128i& next = w[group % 4];
        if (group < 4) {
          const std::byte* const place =
              inputs[lane] + block * kSha256BlockBytes + static_cast<std::size_t>(group) * 16;
          next = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(place)),
                                  big_endian);
        } else {
          const __m128i last = w[(group + 3) % 4];
          const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(next, w[(group + 1) % 4]),
                                            _mm_alignr_epi8(last, w[(group + 2) % 4], 4));
          next = _mm_sha256msg2_epu32(sum, last);
        }
        const __m128i mixed = _mm_add_epi32(next, constants);
        cdgh[lane] = _mm_sha256rnds2_epu32(cdgh[lane], abef[lane], mixed);
        abef[lane] = _mm_sha256rnds2_epu32(abef[lane], cdgh[lane], _mm_shuffle_epi32(mixed, 0x0E));
      }
    }
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      abef[lane] = _mm_add_epi32(abef[lane], abef_before[lane]);
      cdgh[lane] = _mm_add_epi32(cdgh[lane], cdgh_before[lane]);
    }
  }
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    alignas(16) std::uint32_t first[4], second[4];
    _mm_store_si128(reinterpret_cast<__m128i*>(first), abef[lane]);
    _mm_store_si128(reinterpret_cast<__m128i*>(second), cdgh[lane]);
    std::uint32_t* const s = chains[lane]->words;
    s[0] = first[3], s[1] = first[2], s[4] = first[1], s[5] = first[0];
    s[2] = second[3], s[3] = second[2], s[6] = second[1], s[7] = second[0];
  }
}

#define REPRISE_WIDE __attribute__((target("avx512f,avx512bw"), always_inline)) inline

// 4 x 4 words within each quarter of four registers: columns become rows.
REPRISE_WIDE void transpose_quarters(__m512i& a, __m512i& b, __m512i& c, __m512i& d) {
  const __m512i ab_low = _mm512_unpacklo_epi32(a, b), ab_high = _mm512_unpackhi_epi32(a, b);
  const __m512i cd_low = _mm512_unpacklo_epi32(c, d), cd_high = _mm512_unpackhi_epi32(c, d);
  a = _mm512_unpacklo_epi64(ab_low, cd_low);
  b = _mm512_unpackhi_epi64(ab_low, cd_low);
  c = _mm512_unpacklo_epi64(ab_high, cd_high);
  d = _mm512_unpackhi_epi64(ab_high, cd_high);
}

// The same for 4 x 4 quarters in four registers.
REPRISE_WIDE void swap_quarters(__m512i& a, __m512i& b, __m512i& c, __m512i& d) {
  const __m512i ab_even = _mm512_shuffle_i32x4(a, b, 0x88),
                ab_odd = _mm512_shuffle_i32x4(a, b, 0xdd);
  const __m512i cd_even = _mm512_shuffle_i32x4(c, d, 0x88),
                cd_odd = _mm512_shuffle_i32x4(c, d, 0xdd);
  a = _mm512_shuffle_i32x4(ab_even, cd_even, 0x88);
  b = _mm512_shuffle_i32x4(ab_odd, cd_odd, 0x88);
  c = _mm512_shuffle_i32x4(ab_even, cd_even, 0xdd);
  d = _mm512_shuffle_i32x4(ab_odd, cd_odd, 0xdd);
}

// Word i of lane j goes to word j of register i.
REPRISE_WIDE void transpose(__m512i (&r)[16]) {
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) transpose_quarters(r[i], r[i + 1], r[i + 2], r[i + 3]);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) swap_quarters(r[i], r[i + 4], r[i + 8], r[i + 12]);
}

REPRISE_WIDE __m512i exclusive_or(__m512i a, __m512i b, __m512i c) {
  return _mm512_ternarylogic_epi32(a, b, c, 0x96);
}

// The next 16 words of the message schedule in place of the last 16 (FIPS 180-4, 6.2.2).
REPRISE_WIDE __m512i schedule(const __m512i (&w)[16], int i) {
  const __m512i early = w[(i + 1) % 16], late = w[(i + 14) % 16];
  const __m512i sigma0 = exclusive_or(_mm512_ror_epi32(early, 7), _mm512_ror_epi32(early, 18),
                                      _mm512_srli_epi32(early, 3));
  const __m512i sigma1 = exclusive_or(_mm512_ror_epi32(late, 17), _mm512_ror_epi32(late, 19),
                                      _mm512_srli_epi32(late, 10));
  return _mm512_add_epi32(_mm512_add_epi32(w[i % 16], sigma0),
                          _mm512_add_epi32(w[(i + 9) % 16], sigma1));
}

}  // namespace

bool has_sha_extensions() { return features().sha; }
bool has_wide_lanes() { return features().wide; }

void compress_one(Sha256Chain& chain, const std::byte* input, std::size_t blocks) {
  compress<1>({&chain}, {input}, blocks);
}

void compress_two(Sha256Chain* const (&chains)[2], const std::byte* const (&inputs)[2],
                  std::size_t blocks) {
  compress<2>(chains, inputs, blocks);
}

__attribute__((target("avx512f,avx512bw"))) void compress_wide(
    Sha256Chain* const (&chains)[kWideLanes], const std::byte* const (&inputs)[kWideLanes],
    std::size_t blocks) {
  const __m512i big_endian =
      _mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));
  alignas(64) std::uint32_t words[8][kWideLanes];
  for (std::size_t lane = 0; lane < kWideLanes; ++lane)
    for (std::size_t i = 0; i < 8; ++i) words[i][lane] = chains[lane]->words[i];
  __m512i s[8];
  for (int i = 0; i < 8; ++i) s[i] = _mm512_load_si512(words[i]);

  for (std::size_t block = 0; block < blocks; ++block) {
    __m512i w[16];
#pragma GCC unroll 16
    for (int lane = 0; lane < 16; ++lane) {
      const std::byte* const place = inputs[lane] + block * kSha256BlockBytes;
      // Sixteen streams are more than the hardware follows by itself.
      _mm_prefetch(reinterpret_cast<const char*>(place) + 512, _MM_HINT_T0);
      w[lane] = _mm512_shuffle_epi8(_mm512_loadu_si512(place), big_endian);
    }
    transpose(w);
    __m512i a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];
#pragma GCC unroll 64
    for (int i = 0; i < 64; ++i) {
      if (i >= 16) w[i % 16] = schedule(w, i);
      const __m512i sum1 =
          exclusive_or(_mm512_ror_epi32(e, 6), _mm512_ror_epi32(e, 11), _mm512_ror_epi32(e, 25));
      const __m512i choice = _mm512_ternarylogic_epi32(e, f, g, 0xca);
      const __m512i constant = _mm512_set1_epi32(static_cast<int>(kRoundConstants[i]));
      const __m512i first =
          _mm512_add_epi32(_mm512_add_epi32(_mm512_add_epi32(h, w[i % 16]), constant),
                           _mm512_add_epi32(sum1, choice));
      const __m512i sum0 =
          exclusive_or(_mm512_ror_epi32(a, 2), _mm512_ror_epi32(a, 13), _mm512_ror_epi32(a, 22));
      const __m512i majority = _mm512_ternarylogic_epi32(a, b, c, 0xe8);
      h = g;
      g = f;
      f = e;
      e = _mm512_add_epi32(d, first);
      d = c;
      c = b;
      b = a;
      a = _mm512_add_epi32(first, _mm512_add_epi32(sum0, majority));
    }
    const __m512i after[8] = {a, b, c, d, e, f, g, h};
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) s[i] = _mm512_add_epi32(s[i], after[i]);
  }
  for (int i = 0; i < 8; ++i) _mm512_store_si512(words[i], s[i]);
  for (std::size_t lane = 0; lane < kWideLanes; ++lane)
    for (std::size_t i = 0; i < 8; ++i) chains[lane]->words[i] = words[i][lane];
}

}  // namespace reprise

#else

namespace reprise {

bool has_sha_extensions() { return false; }
bool has_wide_lanes() { return false; }
void compress_one(Sha256Chain&, const std::byte*, std::size_t) {}
void compress_two(Sha256Chain* const (&)[2], const std::byte* const (&)[2], std::size_t) {}
void compress_wide(Sha256Chain* const (&)[kWideLanes], const std::byte* const (&)[kWideLanes],
                   std::size_t) {}

}  // namespace reprise

#endif
