#include "ckpt/base/io.h"

#include "ckpt/base/error.h"
#include "ckpt/base/json.h"

#include <cerrno>

namespace reprise {

void Io::print_json(const nlohmann::ordered_json& document) {
  write(dump_json(document, 2) + "\n");
}

void Io::write(std::string_view text) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), out_) != text.size() && write_error_ == 0) {
    write_error_ = errno == 0 ? EIO : errno;
  }
}

void Io::flush() {
  errno = 0;
  if (std::fflush(out_) != 0 && write_error_ == 0) write_error_ = errno;
  if (std::ferror(out_) != 0 && write_error_ == 0) write_error_ = EIO;
  if (write_error_ != 0) fail_errno(write_error_, "standard output");
}

std::string Io::paint(std::string_view code, std::string_view text) const {
  return color_out ? fmt::format("\033[{}m{}\033[0m", code, text) : std::string(text);
}

void Io::talk(std::string_view line) {
  // Data that was printed before this line was said is read before it, also in a shared log.
  errno = 0;
  if (std::fflush(out_) != 0 && write_error_ == 0) write_error_ = errno;
  std::fputs(fmt::format("{}\n", line).c_str(), err_);  // fmt::print would throw on a full disk
}

}  // namespace reprise
