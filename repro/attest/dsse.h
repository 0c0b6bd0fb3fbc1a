// DSSE envelopes (Dead Simple Signing Envelope, protocol v1.0.0) around in-toto statements.
#pragma once

#include "ckpt/base/json.h"
#include "repro/attest/key.h"

#include <string>
#include <string_view>
#include <vector>

namespace reprise::attest {

inline constexpr std::string_view kInTotoPayload = "application/vnd.in-toto+json";

// The bytes that are signed: "DSSEv1", then length and text of type and payload, so that neither
// can be taken for a part of the other (protocol.md, "PAE").
std::string pre_authentication_encoding(std::string_view type, std::string_view payload);

struct Envelope {
  std::string payload_type;
  std::string payload;
  std::vector<std::string> signatures;  // decoded; their key ids are hints, and not kept
};

// {payload, payloadType, signatures: [{keyid, sig}]} with one signature by `key`.
Json seal(std::string_view payload_type, std::string_view payload, const PrivateKey& key);

// Decodes an envelope, checking structure only: nothing in it is authentic yet.
// Errors: kCorrupt.
Envelope open_envelope(const Json& envelope, std::string_view place);

// The statement in `envelope` after its signature was found good.
// Errors: kNo when no signature is `key`'s over this payload; kCorrupt when the payload is no
// in-toto statement (checked after the signature).
Json verified_statement(const Envelope& envelope, const PublicKey& key, std::string_view place);

}  // namespace reprise::attest
