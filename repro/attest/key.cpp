#include "repro/attest/key.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/base/sha256.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>

namespace reprise::attest {

struct PublicKey::Handle {
  EVP_PKEY* key;
  KeyKind kind;
  Handle(EVP_PKEY* owned, KeyKind owned_kind) : key(owned), kind(owned_kind) {}
  ~Handle() { EVP_PKEY_free(key); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
};

namespace {

struct Free {
  void operator()(BIO* bio) const { BIO_free_all(bio); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

constexpr std::uint64_t kKeyFileLimit = 64u << 10;

[[noreturn]] void fail_openssl(std::string_view what) {
  char text[256];
  ERR_error_string_n(ERR_get_error(), text, sizeof text);
  ERR_clear_error();
  fail(Code::kInternal, "{}: {}", what, text);
}

const unsigned char* data(Bytes bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

KeyKind kind_of(const EVP_PKEY* key, std::string_view place) {
  if (EVP_PKEY_is_a(key, "ED25519")) return KeyKind::kEd25519;
  if (EVP_PKEY_is_a(key, "EC")) {
    char group[64] = "?";
    std::size_t length = 0;
    EVP_PKEY_get_group_name(key, group, sizeof group, &length);
    const std::string_view name(group, length);
    if (name == "prime256v1" || name == "P-256") return KeyKind::kEcdsaP256;
    if (name == "secp384r1" || name == "P-384") return KeyKind::kEcdsaP384;
    fail(Code::kCorrupt, "{}: an EC key over {}; allowed are P-256 and P-384", place,
         printable(name));
  }
  const char* type = EVP_PKEY_get0_type_name(key);
  fail(Code::kCorrupt, "{}: a key of type {}; allowed are Ed25519 and ECDSA over P-256 or P-384",
       place, type == nullptr ? "unknown" : type);
}

const EVP_MD* digest_of(KeyKind kind) {
  switch (kind) {
    case KeyKind::kEcdsaP256: return EVP_sha256();
    case KeyKind::kEcdsaP384: return EVP_sha384();
    case KeyKind::kEd25519: return nullptr;  // Ed25519 digests inside
  }
  return nullptr;
}

std::string drain(BIO* bio) {
  char* text = nullptr;
  const long length = BIO_get_mem_data(bio, &text);
  return {text, static_cast<std::size_t>(length)};
}

Owned<BIO> memory(std::string_view text) {
  return Owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// Answers OpenSSL's question for a passphrase with "there is none", instead of a prompt.
int no_passphrase(char*, int, int, void*) { return 0; }

}  // namespace

std::string_view to_string(KeyKind kind) {
  switch (kind) {
    case KeyKind::kEd25519: return "ed25519";
    case KeyKind::kEcdsaP256: return "ecdsa-p256";
    case KeyKind::kEcdsaP384: return "ecdsa-p384";
  }
  return "unknown";
}

PublicKey PublicKey::load(const std::filesystem::path& path) {
  return from_pem(read_text(path, kKeyFileLimit), path.native());
}

PublicKey PublicKey::from_pem(std::string_view pem, std::string_view place) {
  const Owned<BIO> bio = memory(pem);
  Owned<EVP_PKEY> key(PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr));
  ERR_clear_error();
  if (!key) {
    fail(Code::kCorrupt, "{}: no PEM public key{}", place,
         pem.find("PRIVATE KEY-----") != pem.npos
             ? "; this is a private key: verify with the .pub file beside it"
             : "");
  }
  const KeyKind kind = kind_of(key.get(), place);
  return PublicKey(std::make_shared<const Handle>(key.release(), kind));
}

KeyKind PublicKey::kind() const { return handle_->kind; }

std::string PublicKey::pem() const {
  const Owned<BIO> bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PUBKEY(bio.get(), handle_->key) != 1) fail_openssl("writing a public key");
  return drain(bio.get());
}

std::string PublicKey::id() const {
  const Owned<BIO> bio(BIO_new(BIO_s_mem()));
  if (i2d_PUBKEY_bio(bio.get(), handle_->key) != 1) fail_openssl("encoding a public key");
  return sha256(drain(bio.get())).hex();
}

std::string PublicKey::pem_id() const { return sha256(pem()).hex(); }

bool PublicKey::verify(Bytes message, Bytes signature) const {
  const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
  if (EVP_DigestVerifyInit(context.get(), nullptr, digest_of(handle_->kind), nullptr,
                           handle_->key) != 1) {
    fail_openssl("verifying");
  }
  const int answer = EVP_DigestVerify(context.get(), data(signature), signature.size(),
                                      data(message), message.size());
  ERR_clear_error();
  return answer == 1;
}

PrivateKey PrivateKey::generate(KeyKind kind) {
  EVP_PKEY* key = nullptr;
  switch (kind) {
    case KeyKind::kEd25519: key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"); break;
    case KeyKind::kEcdsaP256: key = EVP_EC_gen("P-256"); break;
    case KeyKind::kEcdsaP384: key = EVP_EC_gen("P-384"); break;
  }
  if (key == nullptr) fail_openssl("generating a key");
  return PrivateKey(std::make_shared<const PublicKey::Handle>(key, kind));
}

PrivateKey PrivateKey::load(const std::filesystem::path& path) {
  // One descriptor for both: the mode that is checked has to be that of the bytes which are read.
  const File file = File::open(path);
  struct stat status {};
  if (fstat(file.descriptor(), &status) != 0) fail_errno(errno, path.native());
  std::string pem(std::min(file.size(), kKeyFileLimit), '\0');
  file.read(0, std::as_writable_bytes(std::span(pem)));
  if (pem.find("BEGIN PUBLIC KEY") != pem.npos) {
    fail(Code::kCorrupt, "{}: this is a public key: sign with the .key file beside it",
         path.native());
  }
  if ((status.st_mode & 077) != 0) {
    fail(Code::kUsage,
         "{}: the private key has mode {:04o}, so others may read it; run: chmod 600 {}",
         path.native(), status.st_mode & 07777, path.native());
  }
  const Owned<BIO> bio = memory(pem);
  Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  ERR_clear_error();
  if (!key) {
    fail(Code::kCorrupt, "{}: no PEM private key{}", path.native(),
         pem.find("ENCRYPTED") != pem.npos
             ? "; encrypted keys are not read: decrypt it with openssl pkey"
             : "");
  }
  const KeyKind kind = kind_of(key.get(), path.native());
  return PrivateKey(std::make_shared<const PublicKey::Handle>(key.release(), kind));
}

KeyKind PrivateKey::kind() const { return handle_->kind; }

// The public half is read off the same OpenSSL object; nothing of PublicKey writes the private one.
PublicKey PrivateKey::public_key() const { return PublicKey(handle_); }

std::string PrivateKey::sign(Bytes message) const {
  const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
  std::size_t length = 0;
  if (EVP_DigestSignInit(context.get(), nullptr, digest_of(handle_->kind), nullptr, handle_->key) !=
          1 ||
      EVP_DigestSign(context.get(), nullptr, &length, data(message), message.size()) != 1) {
    fail_openssl("signing");
  }
  std::string signature(length, '\0');
  if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &length,
                     data(message), message.size()) != 1) {
    fail_openssl("signing");
  }
  signature.resize(length);
  return signature;
}

void PrivateKey::save(const std::filesystem::path& path) const {
  require_outside_runs(path);
  const Owned<BIO> bio(BIO_new(BIO_s_secmem()));
  if (PEM_write_bio_PKCS8PrivateKey(bio.get(), handle_->key, nullptr, nullptr, 0, nullptr,
                                    nullptr) != 1) {
    fail_openssl("writing a private key");
  }
  char* text = nullptr;
  const long length = BIO_get_mem_data(bio.get(), &text);
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    if (errno == EEXIST) {
      fail(Code::kUsage, "{}: exists; a key is never replaced: choose another name", path.native());
    }
    fail_errno(errno, path.native());
  }
  File file(descriptor, path);
  // A umask can only take away from 0600, which would leave the key unreadable to its owner.
  if (fchmod(descriptor, 0600) != 0) fail_errno(errno, path.native());
  file.write(0, as_bytes({text, static_cast<std::size_t>(length)}));
  file.sync();
  file.close();
}

void require_outside_runs(const std::filesystem::path& private_key) {
  namespace fs = std::filesystem;
  for (fs::path place = fs::weakly_canonical(fs::absolute(private_key)).parent_path();;
       place = place.parent_path()) {
    for (const char* mark : {"fingerprint.json", "ledger.jsonl"}) {
      if (fs::exists(place / mark)) {
        fail(Code::kUsage,
             "{}: lies in the run directory {}; runs are copied and published: keep private keys "
             "elsewhere",
             private_key.native(), place.native());
      }
    }
    if (place == place.parent_path()) return;
  }
}

}  // namespace reprise::attest
