// The one exception type of the suite and the meaning of every exit code.
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace reprise {

// What went wrong, and at the same time the exit code of every binary.
// DO NOT CHANGE THESE VALUES: scripts branch on them. See docs/exit-codes.md.
enum class Code : int {
  kNo = 1,            // ran, and the answer is no
  kUsage = 2,         // bad command line or configuration
  kNotFound = 10,     // a file, run or reference does not exist
  kIo = 11,           // the operating system refused: I/O error, disk full, no permission
  kCorrupt = 12,      // a damaged or hostile file
  kUnsupported = 13,  // a newer version, or a feature we do not have
  kIncomplete = 14,   // the writer never committed
  kMismatch = 15,     // a valid checkpoint, for another model, run or world size
  kInternal = 70,     // a bug of ours
  kStopped = 75,      // stopped by a signal after saving; start again to resume
};

// "corrupt", "not found", ...: the word a message begins with.
std::string_view to_string(Code code);

// Failure of an operation. The message is complete as it stands: it names the
// place, what was found, what was expected, and what the user can do next.
class Error : public std::runtime_error {
 public:
  Error(Code code, const std::string& message) : std::runtime_error(message), code_(code) {}

  Code code() const noexcept { return code_; }
  int exit_code() const noexcept { return static_cast<int>(code_); }

  // The same failure with "`place`: " in front, for callers that know more of
  // the place (a file name, a tensor) than the code that found the fault.
  Error at(std::string_view place) const;

 private:
  Code code_;
};

// What a program ends with when `error` ends it: the code of an Error, kIo for memory that is not
// there and for errors of the system, else kInternal.
Code code_of(const std::exception& error) noexcept;

// Throws Error with a formatted message.
template <typename... Args>
[[noreturn]] void fail(Code code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

// Throws Error(kIo) (kNotFound for ENOENT) saying "`what`: <text of errno_value>"
// and, for the errors a user can act on (disk full, no permission, too many
// files), what to do next.
[[noreturn]] void fail_errno(int errno_value, std::string_view what);
// The same where `what` was to be read: the advice is another one.
[[noreturn]] void fail_errno_reading(int errno_value, std::string_view what);

// `text` from a file made fit to print: control characters and invalid UTF-8 are
// escaped, anything over `limit` bytes is cut with "...". Use it on every name
// that came out of a file before it reaches a terminal or a message.
std::string printable(std::string_view text, std::size_t limit = 200);

// What another library's error says to people: the first line of it, printable. Traces follow it.
std::string first_line(const std::exception& error);

}  // namespace reprise
