#include "ckpt/base/sha256.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"

#include <openssl/evp.h>

#include <algorithm>
#include <vector>

namespace reprise {

namespace {

void require(int ok) {
  if (ok != 1) fail(Code::kInternal, "OpenSSL refused SHA-256");
}

const EVP_MD* algorithm() {
  // Fetched once: an implicit fetch on every init costs a lock and a look-up.
  static EVP_MD* const fetched = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  if (fetched == nullptr) fail(Code::kInternal, "OpenSSL has no SHA-256");
  return fetched;
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { EVP_MD_CTX_free(context); }

  void start() { require(EVP_DigestInit_ex2(context, algorithm(), nullptr)); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  if (state_->context == nullptr) fail(Code::kInternal, "OpenSSL: out of memory");
  state_->start();
}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

Sha256& Sha256::update(Bytes bytes) {
  require(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()));
  return *this;
}

Digest Sha256::finish() {
  Digest digest;
  require(EVP_DigestFinal_ex(state_->context, reinterpret_cast<unsigned char*>(digest.bytes.data()),
                             nullptr));
  state_->start();
  return digest;
}

Digest sha256(Bytes bytes) { return Sha256().update(bytes).finish(); }

namespace {

// A large file is hashed where it lies in the page cache, window by window: copying it out
// would cost a third as much as hashing it.
Digest sha256_mapped(const std::filesystem::path& path, const std::stop_token& stop) {
  constexpr std::uint64_t kWindowBytes = 2u << 20;
  const auto file = MappedFile::open(path);
  const std::uint64_t size = file->bytes().size();
  Sha256 hash;
  for (std::uint64_t offset = 0; offset < size; offset += kWindowBytes) {
    const std::uint64_t length = std::min(kWindowBytes, size - offset);
    if (stop.stop_requested()) fail(Code::kInternal, "{}: hashing was stopped", path.native());
    file->populate(offset, length);
    hash.update(file->bytes().subspan(offset, length));
    file->release(offset, length);
  }
  return hash.finish();
}

}  // namespace

Digest sha256_file(const std::filesystem::path& path, const std::stop_token& stop) {
  constexpr std::uint64_t kMappedFrom = 8u << 20;
  const File file = File::open(path);
  const std::uint64_t size = file.size();
  if (size >= kMappedFrom) return sha256_mapped(path, stop);
  std::vector<std::byte> buffer(std::min<std::uint64_t>(size, 1u << 20));
  Sha256 hash;
  for (std::uint64_t offset = 0; offset < size;) {
    const auto length = std::min<std::uint64_t>(buffer.size(), size - offset);
    file.read(offset, std::span(buffer).first(length));
    hash.update(Bytes(buffer).first(length));
    offset += length;
  }
  return hash.finish();
}

std::string Digest::hex() const { return to_hex(bytes); }

Digest Digest::from_hex(std::string_view hex) {
  const std::string raw = hex.size() == 64 ? reprise::from_hex(hex) : std::string();
  if (raw.size() != 32) {
    fail(Code::kCorrupt, "'{}' is not a SHA-256 digest of 64 hexadecimal digits",
         printable(hex, 80));
  }
  Digest digest;
  std::memcpy(digest.bytes.data(), raw.data(), raw.size());
  return digest;
}

std::string to_hex(Bytes bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex(bytes.size() * 2, '0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto value = std::to_integer<unsigned>(bytes[i]);
    hex[2 * i] = kDigits[value >> 4];
    hex[2 * i + 1] = kDigits[value & 15];
  }
  return hex;
}

std::string from_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) fail(Code::kCorrupt, "an odd number of hexadecimal digits");
  std::string raw(hex.size() / 2, '\0');
  for (std::size_t i = 0; i < raw.size(); ++i) {
    const int high = digit(hex[2 * i]);
    const int low = digit(hex[2 * i + 1]);
    if (high < 0 || low < 0) fail(Code::kCorrupt, "'{}' is not hexadecimal", printable(hex, 80));
    raw[i] = static_cast<char>(high * 16 + low);
  }
  return raw;
}

}  // namespace reprise
