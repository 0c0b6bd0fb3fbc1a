#include "ckpt/cli/plot.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

extern char** environ;

namespace reprise::cli {
namespace fs = std::filesystem;

namespace {

// A string for gnuplot's single quotes, in which only the quote itself is special.
std::string gnuplot_text(std::string_view text) {
  std::string out = "'";
  for (const char c : printable(text, 120)) {
    if (c == '\'') out += '\'';
    out += c;
  }
  return out + "'";
}

std::string script_of(const fs::path& png, const std::string& title,
                      const std::vector<RangePoint>& points) {
  const std::size_t height = std::clamp<std::size_t>(120 + 14 * points.size(), 300, 6000);
  std::string script = fmt::format(
      "set terminal pngcairo noenhanced size 1100,{} font 'Sans,9'\nset output {}\nset title {}\n"
      "set grid xtics\nset key outside bottom center horizontal\nset yrange [{}:-1]\nset ytics (",
      height, gnuplot_text(png.native()), gnuplot_text(title), points.size());
  // Names are readable up to some number of rows; beyond it every k-th is named.
  const std::size_t step = std::max<std::size_t>(1, points.size() / 400 + 1);
  for (std::size_t i = 0; i < points.size(); i += step) {
    script += fmt::format("{}{} {}", i == 0 ? "" : ",", gnuplot_text(points[i].name), i);
  }
  script += ")\n$data << EOD\n";
  for (std::size_t i = 0; i < points.size(); ++i) {
    const RangePoint& p = points[i];
    script += fmt::format("{} {:.9g} {:.9g} {:.9g} {:.9g}\n", i, p.min, p.max, p.mean, p.deviation);
  }
  script +=
      "EOD\nplot $data using 2:1:($3-$2):(0) with vectors nohead lc rgb '#9ecae1' lw 4 title 'min "
      "to max', "
      "'' using 4:1:5 with xerrorbars pt 7 ps 0.6 lc rgb '#08519c' title 'mean and std'\n";
  return script;
}

// Runs gnuplot on a script file; returns its exit status.
int run_gnuplot(const fs::path& script, const fs::path& log) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log.c_str(), O_WRONLY | O_TRUNC, 0);
  std::string name = "gnuplot";
  std::string argument = script.native();
  std::array<char*, 3> arguments = {name.data(), argument.data(), nullptr};
  pid_t child = 0;
  const int problem = posix_spawnp(&child, "gnuplot", &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (problem == ENOENT) {
    fail(
        Code::kUnsupported,
        "there is no gnuplot on this machine; install it (apt install gnuplot-nox), or use --json");
  }
  if (problem != 0) fail_errno(problem, "gnuplot");
  int status = 0;
  while (waitpid(child, &status, 0) == -1) {
    if (errno != EINTR) fail_errno(errno, "gnuplot");
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

// A file beside another one that goes away with this object.
class TemporaryFile {
 public:
  explicit TemporaryFile(const fs::path& beside) : file_(beside) {}
  const fs::path& path() const { return file_.temporary_path(); }
  DurableFile& file() { return file_; }

 private:
  DurableFile file_;
};

}  // namespace

void plot_ranges(const fs::path& file, const std::string& title,
                 const std::vector<RangePoint>& points) {
  // gnuplot writes into the temporary file, which becomes `file` when all went well.
  DurableFile picture(file);
  TemporaryFile script(fs::path(file).concat(".gnuplot"));
  TemporaryFile log(fs::path(file).concat(".log"));
  script.file().file().write(0, as_bytes(script_of(picture.temporary_path(), title, points)));
  const int status = run_gnuplot(script.path(), log.path());
  if (status != 0 || picture.file().size() == 0) {
    const std::string said = read_text(log.path(), 1 << 20);
    fail(Code::kIo, "gnuplot failed (exit {}): {}", status, printable(said, 400));
  }
  picture.publish();
}

}  // namespace reprise::cli
