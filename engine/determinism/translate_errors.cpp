#include "engine/determinism/determinism.h"

#include "ckpt/base/error.h"

#include <c10/util/Exception.h>

#include <new>
#include <string>
#include <utility>

namespace reprise::engine {
namespace {

constexpr std::string_view kNoDeterministicForm = " does not have a deterministic implementation";

WaysOut& ways_out() {
  static WaysOut ways = {"run on another device", "use a machine with more memory"};
  return ways;
}

[[noreturn]] void translate(const c10::Error& error) {
  const std::string text = error.what_without_backtrace();
  if (const std::size_t at = text.find(kNoDeterministicForm); at != std::string::npos) {
    fail(Code::kUnsupported, "the op {} has no deterministic form on this device; {}",
         text.substr(0, at), ways_out().nondeterministic_op);
  }
  const std::string first_line = text.substr(0, text.find('\n'));
  if (first_line.find("not enough memory") != std::string::npos ||
      first_line.find("out of memory") != std::string::npos) {
    fail(Code::kIo, "out of memory: {}; {}", first_line, ways_out().out_of_memory);
  }
  fail(Code::kInternal, "LibTorch: {}", first_line);
}

}  // namespace

void set_ways_out(WaysOut ways) { ways_out() = std::move(ways); }

void translate_torch_errors(const std::function<void()>& work) {
  try {
    work();
  } catch (const c10::Error& error) {
    translate(error);
  } catch (const std::bad_alloc&) {
    fail(Code::kIo, "out of memory; {}", ways_out().out_of_memory);
  }
}

}  // namespace reprise::engine
