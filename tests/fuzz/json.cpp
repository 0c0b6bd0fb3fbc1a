// JSON of manifests and ledgers: either an Error, or a value that survives being written and read.
#include "ckpt/base/json.h"

#include "ckpt/base/error.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  reprise::Json json;
  try {
    json = reprise::parse_json({reinterpret_cast<const char*>(data), size});
  } catch (const reprise::Error&) {
    return 0;
  }
  if (reprise::dump_json(reprise::parse_json(reprise::dump_json(json))) !=
      reprise::dump_json(json)) {
    std::abort();
  }
  return 0;
}
