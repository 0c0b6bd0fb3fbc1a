// What a command talks through: stdout is data, stderr is talk.
#pragma once

#include <fmt/core.h>
#include <nlohmann/json_fwd.hpp>

#include <cstdio>
#include <string>
#include <string_view>

namespace reprise {

// The options common to all commands, and the two streams. One for each process;
// not shared between threads (Progress has its own lock).
class Io {
 public:
  bool json = false;     // --json: exactly one JSON document on stdout
  bool quiet = false;    // -q: errors only on stderr
  bool verbose = false;  // -v: details on stderr
  unsigned jobs = 0;     // --jobs, as parallel_for takes it: 0 is one a core
  bool color_out = false;
  bool color_err = false;

  // Data, on stdout, as it stands (no newline is added).
  template <typename... Args>
  void print(fmt::format_string<Args...> format, Args&&... args) {
    write(fmt::format(format, std::forward<Args>(args)...));
  }
  // What cannot be written is known to flush(), with the reason that there was then.
  void write(std::string_view text);
  // One JSON document, indented, with a newline.
  void print_json(const nlohmann::ordered_json& document);

  // A line of talk, on stderr; say() not with -q, detail() only with -v.
  template <typename... Args>
  void say(fmt::format_string<Args...> format, Args&&... args) {
    if (!quiet) talk(fmt::format(format, std::forward<Args>(args)...));
  }
  template <typename... Args>
  void detail(fmt::format_string<Args...> format, Args&&... args) {
    if (verbose) talk(fmt::format(format, std::forward<Args>(args)...));
  }
  // A line that begins with "warning: ", also with -q.
  template <typename... Args>
  void warn(fmt::format_string<Args...> format, Args&&... args) {
    talk("warning: " + fmt::format(format, std::forward<Args>(args)...));
  }

  // `text` between the codes for bold or a colour on stdout, or as it is without colour.
  std::string bold(std::string_view text) const { return paint("1", text); }
  std::string red(std::string_view text) const { return paint("31", text); }
  std::string green(std::string_view text) const { return paint("32", text); }
  std::string yellow(std::string_view text) const { return paint("33", text); }

  // Draws progress? Not with -q, nor where Progress itself would not.
  bool progress() const { return !quiet; }

  // Errors: kIo when anything printed could not be written (a full disk).
  void flush();

 private:
  std::string paint(std::string_view code, std::string_view text) const;
  void talk(std::string_view line);
  std::FILE* out_ = stdout;
  std::FILE* err_ = stderr;
  int write_error_ = 0;  // errno of the first write to stdout that failed
};

}  // namespace reprise
