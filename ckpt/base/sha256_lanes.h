// The compression function of SHA-256 for several chains in step; sha256_many drives it.
#pragma once

#include "ckpt/base/bytes.h"

#include <cstddef>
#include <cstdint>

namespace reprise {

// The state of a chain between blocks: words A to H. Starts as FIPS 180-4, 5.3.3 says.
struct Sha256Chain {
  std::uint32_t words[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                            0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
};

constexpr std::size_t kSha256BlockBytes = 64;
constexpr std::size_t kWideLanes = 16;

// What this CPU can do.
bool has_sha_extensions();
bool has_wide_lanes();

// Each advances every chain by `blocks` blocks of its own input. The CPU must have what the name
// says; call nothing else on another architecture than x86-64.
void compress_one(Sha256Chain& chain, const std::byte* input, std::size_t blocks);
void compress_two(Sha256Chain* const (&chains)[2], const std::byte* const (&inputs)[2],
                  std::size_t blocks);
void compress_wide(Sha256Chain* const (&chains)[kWideLanes],
                   const std::byte* const (&inputs)[kWideLanes], std::size_t blocks);

}  // namespace reprise
