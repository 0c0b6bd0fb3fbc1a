#include "ckpt/base/io.h"

#include "ckpt/base/error.h"
#include "ckpt/base/json.h"

#include <cerrno>

namespace reprise {

void Io::print_json(const nlohmann::ordered_json& document) {
  write(dump_json(document, 2) + "\n");
}

void Io::flush() {
  errno = 0;
  if (std::fflush(out_) != 0 || std::ferror(out_) != 0) {
    fail_errno(errno == 0 ? EIO : errno, "standard output");
  }
}

std::string Io::paint(std::string_view code, std::string_view text) const {
  return color_out ? fmt::format("\033[{}m{}\033[0m", code, text) : std::string(text);
}

void Io::talk(std::string_view line) {
  // Data that was printed before this line was said is read before it, also in a shared log.
  std::fflush(out_);
  fmt::print(err_, "{}\n", line);
}

}  // namespace reprise
