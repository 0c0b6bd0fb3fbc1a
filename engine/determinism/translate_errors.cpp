#include "engine/determinism/determinism.h"

#include "ckpt/base/error.h"

#include <c10/util/Exception.h>

#include <new>
#include <string>

namespace reprise::engine {
namespace {

constexpr std::string_view kNoDeterministicForm = " does not have a deterministic implementation";

[[noreturn]] void translate(const c10::Error& error) {
  const std::string text = error.what_without_backtrace();
  if (const std::size_t at = text.find(kNoDeterministicForm); at != std::string::npos) {
    fail(Code::kUnsupported,
         "the op {} has no deterministic form on this device; run with --no-deterministic, or "
         "without the layer that uses it",
         text.substr(0, at));
  }
  const std::string first_line = text.substr(0, text.find('\n'));
  if (first_line.find("not enough memory") != std::string::npos ||
      first_line.find("out of memory") != std::string::npos) {
    fail(Code::kIo,
         "out of memory: {}; use more --shards, a smaller --batch-size or "
         "--activation-checkpointing",
         first_line);
  }
  fail(Code::kInternal, "LibTorch: {}", first_line);
}

}  // namespace

void translate_torch_errors(const std::function<void()>& work) {
  try {
    work();
  } catch (const c10::Error& error) {
    translate(error);
  } catch (const std::bad_alloc&) {
    fail(Code::kIo,
         "out of memory; use more --shards, a smaller --batch-size or "
         "--activation-checkpointing");
  }
}

}  // namespace reprise::engine
