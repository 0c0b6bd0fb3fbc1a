// Base64 (RFC 4648, section 4), as DSSE envelopes carry bytes.
#pragma once

#include "ckpt/base/bytes.h"

#include <string>
#include <string_view>

namespace reprise::attest {

std::string to_base64(Bytes bytes);
// Strict: padded, no line breaks, and the one encoding of its bytes. Errors: kCorrupt.
std::string from_base64(std::string_view text);

}  // namespace reprise::attest
