// Signing keys: Ed25519 (RFC 8032) and ECDSA over P-256 and P-384 with SHA-256 and SHA-384.
#pragma once

#include "ckpt/base/bytes.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace reprise::attest {

enum class KeyKind : std::uint8_t { kEd25519, kEcdsaP256, kEcdsaP384 };

// "ed25519", "ecdsa-p256", "ecdsa-p384".
std::string_view to_string(KeyKind kind);

// A public key. Immutable; safe to share between threads.
class PublicKey {
 public:
  // A PEM file ("BEGIN PUBLIC KEY", SubjectPublicKeyInfo).
  // Errors: kNotFound; kCorrupt when it is no public key (naming a private key as such), or of an
  // algorithm or curve that is not allowed, RSA among them.
  static PublicKey load(const std::filesystem::path& path);
  static PublicKey from_pem(std::string_view pem, std::string_view place);

  KeyKind kind() const;
  std::string pem() const;
  // SHA-256 of the DER form in hex: what envelopes name as key id. Two files of one key agree.
  std::string id() const;
  // SHA-256 of the PEM text in hex: the hint that model-signing bundles name a key by.
  std::string pem_id() const;
  // Whether `signature` (64 bytes for Ed25519, DER for ECDSA) is this key's over `message`.
  // A malformed signature is an answer, false, not an error.
  bool verify(Bytes message, Bytes signature) const;

 private:
  friend class PrivateKey;
  struct Handle;
  explicit PublicKey(std::shared_ptr<const Handle> handle) : handle_(std::move(handle)) {}
  std::shared_ptr<const Handle> handle_;
};

// A private key. Immutable; safe to share between threads. Memory is cleared by OpenSSL on
// destruction of the last copy.
class PrivateKey {
 public:
  // From the system's cryptographic random source. Errors: kInternal.
  static PrivateKey generate(KeyKind kind);
  // An unencrypted PKCS #8 or SEC 1 PEM file.
  // Errors: kNotFound; kUsage when others than its owner may read it; kCorrupt as for PublicKey.
  static PrivateKey load(const std::filesystem::path& path);

  KeyKind kind() const;
  PublicKey public_key() const;
  // ECDSA signatures draw a fresh nonce, so two signatures of one message differ.
  std::string sign(Bytes message) const;
  // Writes PKCS #8 PEM to a new file with mode 0600 from the first byte on, durably.
  // Errors: kUsage when `path` exists or lies in a run directory; kIo.
  void save(const std::filesystem::path& path) const;

 private:
  explicit PrivateKey(std::shared_ptr<const PublicKey::Handle> handle)
      : handle_(std::move(handle)) {}
  std::shared_ptr<const PublicKey::Handle> handle_;
};

// Refuses a private key in or below a run directory: runs are copied, published and archived.
// Errors: kUsage naming the run.
void require_outside_runs(const std::filesystem::path& private_key);

}  // namespace reprise::attest
