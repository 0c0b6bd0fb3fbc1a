#include "ckpt/base/uuid.h"

#include "ckpt/base/bytes.h"
#include "ckpt/base/error.h"
#include "ckpt/base/sha256.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>

namespace reprise {

namespace {

constexpr std::array<std::uint8_t, 16> kNamespaceUrl = {
    0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8};

constexpr bool is_dash_position(std::size_t i) { return i == 8 || i == 13 || i == 18 || i == 23; }

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

}  // namespace

void Uuid::set_version(unsigned version) {
  bytes_[6] = static_cast<std::uint8_t>((bytes_[6] & 0x0F) | (version << 4));
  bytes_[8] = static_cast<std::uint8_t>((bytes_[8] & 0x3F) | 0x80);
}

Uuid Uuid::random() {
  Uuid uuid;
  if (RAND_bytes(uuid.bytes_.data(), static_cast<int>(uuid.bytes_.size())) != 1) {
    fail(Code::kInternal, "the system's random source failed");
  }
  uuid.set_version(4);
  return uuid;
}

Uuid Uuid::from_url_name(std::string_view name) {
  std::string input(reinterpret_cast<const char*>(kNamespaceUrl.data()), kNamespaceUrl.size());
  input.append(name);
  std::array<unsigned char, 20> digest{};
  if (EVP_Digest(input.data(), input.size(), digest.data(), nullptr, EVP_sha1(), nullptr) != 1) {
    fail(Code::kInternal, "OpenSSL has no SHA-1, which name-based UUIDs need");
  }
  Uuid uuid;
  std::copy_n(digest.begin(), uuid.bytes_.size(), uuid.bytes_.begin());
  uuid.set_version(5);
  return uuid;
}

std::optional<Uuid> Uuid::parse(std::string_view text) {
  if (text.size() != 36) return std::nullopt;
  std::string digits;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_dash_position(i)) {
      if (text[i] != '-') return std::nullopt;
    } else {
      if (!is_hex(text[i])) return std::nullopt;
      digits += text[i];
    }
  }
  const std::string raw = from_hex(digits);
  Uuid uuid;
  std::copy(raw.begin(), raw.end(), uuid.bytes_.begin());
  return uuid;
}

std::string Uuid::text() const {
  std::string out = to_hex(std::as_bytes(std::span(bytes_)));
  for (const std::size_t position : {8u, 13u, 18u, 23u}) out.insert(position, 1, '-');
  return out;
}

}  // namespace reprise
