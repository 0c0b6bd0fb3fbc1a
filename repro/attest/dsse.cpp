#include "repro/attest/dsse.h"

#include "ckpt/base/error.h"
#include "repro/attest/base64.h"

#include <algorithm>

namespace reprise::attest {
namespace {

constexpr std::size_t kSignatureLimit = 64;  // in one envelope; each costs a verification
constexpr std::string_view kStatementType = "https://in-toto.io/Statement/v1";

}  // namespace

std::string pre_authentication_encoding(std::string_view type, std::string_view payload) {
  return fmt::format("DSSEv1 {} {} {} {}", type.size(), type, payload.size(), payload);
}

Json seal(std::string_view payload_type, std::string_view payload, const PrivateKey& key) {
  const std::string signature =
      key.sign(as_bytes(pre_authentication_encoding(payload_type, payload)));
  return {
      {"payload", to_base64(as_bytes(payload))},
      {"payloadType", payload_type},
      {"signatures",
       Json::array({{{"keyid", key.public_key().id()}, {"sig", to_base64(as_bytes(signature))}}})}};
}

Envelope open_envelope(const Json& envelope, std::string_view place) {
  Envelope out;
  out.payload_type = require_string(envelope, "payloadType", place);
  try {
    out.payload = from_base64(require_string(envelope, "payload", place));
    const Json& signatures = require_array(envelope, "signatures", place);
    if (signatures.empty() || signatures.size() > kSignatureLimit) {
      fail(Code::kCorrupt, "{} signatures; at least 1 and at most {} are expected",
           signatures.size(), kSignatureLimit);
    }
    for (const Json& signature : signatures) {
      out.signatures.push_back(from_base64(require_string(signature, "sig", "a signature")));
    }
  } catch (const Error& error) {
    throw error.at(place);
  }
  return out;
}

Json verified_statement(const Envelope& envelope, const PublicKey& key, std::string_view place) {
  const std::string message = pre_authentication_encoding(envelope.payload_type, envelope.payload);
  const bool good = std::any_of(envelope.signatures.begin(), envelope.signatures.end(),
                                [&](const std::string& signature) {
                                  return key.verify(as_bytes(message), as_bytes(signature));
                                });
  if (!good) {
    fail(Code::kNo,
         "{}: no signature of this key ({}, {}) over this content: it was signed with another key, "
         "or altered since",
         place, to_string(key.kind()), key.id());
  }
  if (envelope.payload_type != kInTotoPayload) {
    fail(Code::kCorrupt, "{}: its payload is '{}', expected {}", place,
         printable(envelope.payload_type), kInTotoPayload);
  }
  Json statement;
  try {
    statement = parse_json(envelope.payload);
  } catch (const Error& error) {
    throw error.at(place);
  }
  if (require_string(statement, "_type", place) != kStatementType) {
    fail(Code::kCorrupt, "{}: its payload is no in-toto Statement v1", place);
  }
  return statement;
}

}  // namespace reprise::attest
