// SHA-256 of many independent inputs, side by side in one core.
#pragma once

#include "ckpt/base/sha256.h"

#include <cstddef>
#include <functional>
#include <optional>

namespace reprise {

// Something to digest: stays where it is until its digest is there.
struct DigestJob {
  std::size_t id = 0;
  Bytes bytes;
};

// Digests all inputs that `next` gives, until it gives none; `done` gets each id and digest, in
// the order in which they end. A round of SHA-256 waits for the round before it, so that one
// input leaves most of a core idle. With AVX-512 sixteen inputs are done in step, a new one
// taking the place of each that ends; with SHA extensions two; else one after the other by
// OpenSSL. Largest first keeps all places busy to the end. Several threads may share a `next`
// that is safe for it. Cost: about 2 (one input) to 5 GB/s (sixteen) a core. Errors: those of
// `next` and `done`.
void sha256_many(const std::function<std::optional<DigestJob>()>& next,
                 const std::function<void(std::size_t id, const Digest& digest)>& done);

}  // namespace reprise
