// SHA-256 (FIPS 180-4) through OpenSSL, which uses the CPU's SHA extensions.
#pragma once

#include "ckpt/base/bytes.h"

#include <array>
#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

namespace reprise {

// A 32-byte digest; a value type, compared and ordered bytewise.
struct Digest {
  std::array<std::byte, 32> bytes{};

  // 64 lower-case hexadecimal digits.
  std::string hex() const;
  // Errors: kCorrupt when `hex` is not 64 hexadecimal digits.
  static Digest from_hex(std::string_view hex);

  auto operator<=>(const Digest&) const = default;
};

// An incremental digest. Movable; one thread at a time. About 2 GB/s a core with
// SHA extensions; set-up costs about 100 ns, so reuse one object for small inputs.
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();

  Sha256& update(Bytes bytes);
  Sha256& update(std::string_view text) { return update(as_bytes(text)); }
  // The digest of everything so far; the object starts anew.
  Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Digest sha256(Bytes bytes);
inline Digest sha256(std::string_view text) { return sha256(as_bytes(text)); }

// Digest of a whole file, read sequentially; memory is at most 2 MiB.
// Errors: kNotFound, kIo; kCorrupt when it is no regular file, or becomes shorter meanwhile;
// kInternal when `stop` ended it, after 2 MiB at most: nobody waits for the digest then.
Digest sha256_file(const std::filesystem::path& path, const std::stop_token& stop = {});

// Lower-case hexadecimal digits of any bytes, and back.
// Errors (from_hex): kCorrupt for an odd length or a character that is no digit.
std::string to_hex(Bytes bytes);
std::string from_hex(std::string_view hex);

}  // namespace reprise
