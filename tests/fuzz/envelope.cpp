// Signed envelopes and keys from anywhere: either an Error, or something that does not verify.
#include "repro/attest/dsse.h"

#include "ckpt/base/error.h"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace reprise;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static const attest::PublicKey key =
      attest::PrivateKey::generate(attest::KeyKind::kEd25519).public_key();
  try {
    attest::PublicKey::from_pem(text, "key");
  } catch (const Error&) {
  }
  try {
    attest::verified_statement(attest::open_envelope(parse_json(text), "envelope"), key,
                               "envelope");
    std::abort();  // nobody signed this with a key that was made a moment ago
  } catch (const Error&) {
  }
  return 0;
}
