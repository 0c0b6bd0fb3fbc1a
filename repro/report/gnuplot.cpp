#include "repro/report/gnuplot.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <set>

extern char** environ;

namespace reprise::report {
namespace {
namespace fs = std::filesystem;

constexpr std::array kColours = {"#0072b2", "#e69f00", "#8e44ad", "#795548",
                                 "#cc79a7", "#56b4e9", "#666666", "#b8a000"};
constexpr std::size_t kMostEpochLines = 200;

// A folder of our own, removed with all that is in it. The child works in it, so that no path
// of the user becomes part of a program.
class WorkFolder {
 public:
  WorkFolder() {
    std::string name = (fs::temp_directory_path() / "reprise-plot-XXXXXX").native();
    if (mkdtemp(name.data()) == nullptr) fail_errno(errno, name);
    path_ = name;
  }
  ~WorkFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;
  fs::path operator/(const char* name) const { return path_ / name; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// Between single quotes only the quote itself has a meaning: no backquotes, macros or escapes.
std::string in_quotes(std::string_view text) {
  std::string out = "'";
  for (const char c : printable(text, 120)) {
    if (c == '\'') out += '\'';
    out += c;
  }
  return out + "'";
}

// Two blocks a curve: the line, and its best point or nothing.
std::string data_of(const std::vector<Curve>& curves) {
  std::string data;
  for (const Curve& curve : curves) {
    for (const Point& point : curve.points) {
      // What is not finite breaks the line.
      if (std::isfinite(point.y)) {
        data += fmt::format("{} {}\n", point.x, point.y);
      } else {
        data += '\n';
      }
    }
    data += "\n\n";
    data += curve.best ? fmt::format("{} {}\n", curve.best->x, curve.best->y) : "0 NaN\n";
    data += "\n\n";
  }
  return data;
}

// Lines that the legend takes below a picture of about 110 characters.
std::size_t legend_lines(const std::vector<Curve>& curves) {
  std::size_t characters = 50;  // of the marks that mean the same in each picture
  for (const Curve& curve : curves) characters += curve.label.size() + 12;
  return characters / 110 + 1;
}

std::string script_of(const Picture& picture, bool svg) {
  std::string script = fmt::format(
      "set terminal {} noenhanced size 1000,600 font 'Sans,11' background '#ffffff'\n"
      "set output 'picture'\nset title {}\nset xlabel {}\nset grid ytics lt 1 lw 0.5 lc rgb "
      "'#dddddd'\n"
      "set key at screen 0.5, screen 0.03 center bottom horizontal\nset bmargin {}\n"
      "set format x '%.10g'\nset xrange [0:*]\n",
      svg ? "svg" : "pngcairo", in_quotes(picture.title), in_quotes(picture.x_title),
      legend_lines(picture.curves) + 5);
  std::set<double> epochs;
  for (const Curve& curve : picture.curves) epochs.insert(curve.epochs.begin(), curve.epochs.end());
  const std::size_t step = epochs.size() / kMostEpochLines + 1;
  std::size_t index = 0;
  for (const double x : epochs) {
    if (index++ % step != 0) continue;
    script += fmt::format(
        "set arrow from first {0}, graph 0 to first {0}, graph 1 nohead back lw 0.6 lc rgb "
        "'#e05050'\n",
        x);
  }
  script += "plot ";
  for (std::size_t i = 0; i < picture.curves.size(); ++i) {
    script += fmt::format(
        "{}'data' index {} using 1:2 with linespoints pt 7 ps 0.3 lw 1.8 dt {} lc rgb '{}' title "
        "{}, "
        "'data' index {} using 1:2 with points pt 7 ps 1.1 lc rgb '#12a312' notitle",
        i == 0 ? "" : ", ", 2 * i, i / kColours.size() % 5 + 1, kColours[i % kColours.size()],
        in_quotes(picture.curves[i].label), 2 * i + 1);
  }
  // What the marks mean, in the legend.
  script += ", keyentry with points pt 7 ps 1.1 lc rgb '#12a312' title 'best value'";
  if (!epochs.empty()) {
    script += ", keyentry with lines lw 1 lc rgb '#e05050' title 'end of an epoch'";
  }
  return script + "\n";
}

// Exit status of gnuplot, run in `folder`.
int run_gnuplot(const fs::path& folder) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "log", O_WRONLY | O_CREAT, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  std::array<std::string, 3> words = {"gnuplot", "-d", "script"};  // -d: no startup files
  std::array<char*, 4> arguments = {words[0].data(), words[1].data(), words[2].data(), nullptr};
  pid_t child = 0;
  const int problem = posix_spawnp(&child, "gnuplot", &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (problem == ENOENT) {
    fail(Code::kUnsupported,
         "there is no gnuplot on this machine; install it (apt install gnuplot-nox), or use "
         "`repro report`, which needs none");
  }
  if (problem != 0) fail_errno(problem, "gnuplot");
  int status = 0;
  while (waitpid(child, &status, 0) == -1) {
    if (errno != EINTR) fail_errno(errno, "gnuplot");
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

void draw(const Picture& picture, const fs::path& file) {
  const std::string suffix = file.extension().native();
  if (suffix != ".png" && suffix != ".svg") {
    fail(Code::kUsage, "{}: a picture ends in .png or .svg", printable(file.native()));
  }
  const WorkFolder folder;
  write_text(folder / "data", data_of(picture.curves));
  write_text(folder / "script", script_of(picture, suffix == ".svg"));
  const int status = run_gnuplot(folder.path());
  std::error_code missing;
  if (status != 0 || fs::file_size(folder / "picture", missing) == 0 || missing) {
    fail(Code::kIo, "gnuplot failed (exit {}): {}", status,
         printable(read_text(folder / "log", 1u << 20), 400));
  }
  write_text(file, read_text(folder / "picture"));
}

}  // namespace reprise::report
