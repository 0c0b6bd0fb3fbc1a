#include "ckpt/base/keyed_hash.h"

#include <sys/random.h>

namespace reprise {

std::uint64_t random_hash_key() {
  std::uint64_t key = 0;
  // Unkeyed hashing would still be correct, only open to files made to collide.
  if (getrandom(&key, sizeof key, GRND_NONBLOCK) != sizeof key) {
    key = reinterpret_cast<std::uintptr_t>(&key) * 0x9E3779B97F4A7C15u;
  }
  return key;
}

}  // namespace reprise
