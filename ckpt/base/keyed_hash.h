// Hashes of text out of files, which nobody who wrote a file can make collide.
#pragma once

#include "ckpt/base/bytes.h"

#include <cstdint>

namespace reprise {

// Both halves of a product of 128 bits, folded into one word.
inline std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = Wide{a} * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

// Depends on `key` in each step. Differs between machines and processes: never for files.
inline std::uint64_t keyed_hash(Bytes text, std::uint64_t key) {
  std::uint64_t state = fold(key ^ text.size(), 0x9E3779B97F4A7C15u);
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    state = fold(state ^ load_little<std::uint64_t>(text.data() + i), key | 1);
  }
  std::uint64_t rest = 0;
  if (i < text.size()) std::memcpy(&rest, text.data() + i, text.size() - i);
  return fold(state ^ rest, 0xD6E8FEB86659FD93u);
}

// Another one at each call.
std::uint64_t random_hash_key();

}  // namespace reprise
