#include "ckpt/base/error.h"

#include <cerrno>
#include <cstring>
#include <new>
#include <system_error>

namespace reprise {
namespace {

// Length of the valid UTF-8 sequence at the start of `text`, 0 when there is none.
// Overlong forms and surrogates are invalid (Unicode 15, table 3-7).
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto follows = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xBF) {
    return i < text.size() && byte(i) >= low && byte(i) <= high;
  };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return follows(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const unsigned low = lead == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = lead == 0xED ? 0x9F : 0xBF;
    return follows(1, low, high) && follows(2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const unsigned low = lead == 0xF0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xF4 ? 0x8F : 0xBF;
    return follows(1, low, high) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

std::string_view advice(int errno_value) {
  switch (errno_value) {
    case ENOSPC:
    case EDQUOT:
      return "; free some space (ckpt clean --dry-run shows what could go) and run it again";
    case EACCES:
    case EPERM:
    case EROFS: return "; choose a directory that you may write to, or change its permissions";
    case EMFILE:
    case ENFILE: return "; raise the limit on open files (ulimit -n)";
    default: return "";
  }
}

[[noreturn]] void fail_with(int errno_value, std::string_view what, std::string_view act) {
  const Code code = errno_value == ENOENT ? Code::kNotFound : Code::kIo;
  char buffer[256];
  // The GNU strerror_r may return a static string instead of filling the buffer.
  const char* text = strerror_r(errno_value, buffer, sizeof buffer);
  fail(code, "{}: {}{}", what, text, act);
}

}  // namespace

Code code_of(const std::exception& error) noexcept {
  if (const auto* known = dynamic_cast<const Error*>(&error)) return known->code();
  const bool system = dynamic_cast<const std::bad_alloc*>(&error) != nullptr ||
                      dynamic_cast<const std::system_error*>(&error) != nullptr;
  return system ? Code::kIo : Code::kInternal;
}

std::string_view to_string(Code code) {
  switch (code) {
    case Code::kNo: return "no";
    case Code::kUsage: return "usage";
    case Code::kNotFound: return "not found";
    case Code::kIo: return "I/O error";
    case Code::kCorrupt: return "corrupt";
    case Code::kUnsupported: return "unsupported";
    case Code::kIncomplete: return "incomplete";
    case Code::kMismatch: return "mismatch";
    case Code::kInternal: return "internal error";
    case Code::kStopped: return "stopped";
  }
  return "unknown";
}

Error Error::at(std::string_view place) const {
  return {code_, fmt::format("{}: {}", place, what())};
}

void fail_errno(int errno_value, std::string_view what) {
  fail_with(errno_value, what, advice(errno_value));
}

void fail_errno_reading(int errno_value, std::string_view what) {
  const bool closed = errno_value == EACCES || errno_value == EPERM;
  fail_with(errno_value, what,
            closed ? "; its permissions do not let you read it" : advice(errno_value));
}

std::string printable(std::string_view text, std::size_t limit) {
  std::string out;
  out.reserve(std::min(text.size(), limit));
  while (!text.empty()) {
    if (out.size() >= limit) return out + "...";
    const std::size_t length = utf8_length(text);
    const auto lead = static_cast<unsigned char>(text[0]);
    // C1 controls (U+0080..U+009F) drive terminals just as C0 does.
    const bool c1 = length == 2 && lead == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0;
    if (length == 0 || lead < 0x20 || lead == 0x7F || c1) {
      out += fmt::format("\\x{:02x}", lead);
      text.remove_prefix(1);
    } else {
      out.append(text.substr(0, length));
      text.remove_prefix(length);
    }
  }
  return out;
}

std::string first_line(const std::exception& error) {
  const std::string_view text = error.what();
  return printable(text.substr(0, text.find('\n')));
}

}  // namespace reprise
