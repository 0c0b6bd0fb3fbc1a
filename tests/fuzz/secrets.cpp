// Any bytes may stand in a file that is scanned: hits lie inside it, in order, and do not overlap.
#include "repro/fingerprint/secret_scan.h"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::size_t end = 0;
  for (const reprise::fingerprint::Secret& secret : reprise::fingerprint::find_secrets(text)) {
    if (secret.offset < end || secret.length == 0 || secret.offset + secret.length > size ||
        secret.line == 0) {
      std::abort();
    }
    end = secret.offset + secret.length;
  }
  reprise::fingerprint::redact(text);
  return 0;
}
