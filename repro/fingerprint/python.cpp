#include "repro/fingerprint/python.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <vector>

namespace reprise::fingerprint {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kVersionTimeout{3};

bool is_python(const std::string& name) {
  std::string_view rest = name;
  for (const std::string_view prefix : {"python", "pypy"}) {
    if (!rest.starts_with(prefix)) continue;
    rest.remove_prefix(prefix.size());
    return rest.find_first_not_of("0123456789.") == rest.npos;
  }
  return false;
}

// The interpreter that runs `program`, which is one itself or a script.
fs::path interpreter_of(const fs::path& program) {
  if (is_python(program.filename().native())) return program;
  std::ifstream in(program, std::ios::binary);
  std::array<char, 512> start{};
  in.read(start.data(), static_cast<std::streamsize>(start.size()));
  std::string_view line(start.data(), static_cast<std::size_t>(in.gcount()));
  if (!line.starts_with("#!")) return {};
  line = line.substr(2, line.find('\n') == line.npos ? line.npos : line.find('\n') - 2);
  std::istringstream words{std::string(line)};
  std::string word;
  words >> word;
  if (fs::path(word).filename() == "env") {
    while (words >> word && (word.starts_with('-') || word.find('=') != word.npos)) {
    }
  }
  const fs::path found = find_program(word);
  return is_python(found.filename().native()) ? found : fs::path();
}

// What `program` prints to `arguments`, within three seconds.
std::string output_of(const fs::path& program, std::vector<std::string> arguments) {
  std::array<int, 2> pipe_ends{};
  if (pipe2(pipe_ends.data(), O_CLOEXEC) != 0) return {};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDERR_FILENO);
  arguments.insert(arguments.begin(), program.native());
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_t child = 0;
  const int rc = posix_spawn(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(pipe_ends[1]);
  std::string text;
  if (rc == 0) {
    pollfd ready{pipe_ends[0], POLLIN, 0};
    std::array<char, 4096> buffer{};
    const auto deadline = std::chrono::steady_clock::now() + kVersionTimeout;
    const auto left_ms = [&] {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          deadline - std::chrono::steady_clock::now());
      return static_cast<int>(std::max<std::int64_t>(0, left.count()));
    };
    while (text.size() < buffer.size() && poll(&ready, 1, left_ms()) == 1) {
      const ssize_t n = ::read(pipe_ends[0], buffer.data(), buffer.size());
      if (n <= 0) break;
      text.append(buffer.data(), static_cast<std::size_t>(n));
    }
    if (waitpid(child, nullptr, WNOHANG) == 0) {
      // It has printed or had its time; what is called python need not be one.
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
    }
  }
  close(pipe_ends[0]);
  return text;
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

bool is_script(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return in.get() == '#' && in.get() == '!';
}

struct VirtualEnvironment {
  fs::path prefix;
  bool system_packages = false;
};
// pyvenv.cfg stands beside the interpreter or one above it (PEP 405); the interpreter is a link, so
// it is looked for before links are followed.
std::optional<VirtualEnvironment> virtual_environment(const fs::path& interpreter) {
  for (const fs::path& place :
       {interpreter.parent_path().parent_path(), interpreter.parent_path()}) {
    std::ifstream in(place / "pyvenv.cfg");
    if (!in) continue;
    VirtualEnvironment out{place, false};
    for (std::string line; std::getline(in, line);) {
      std::erase(line, ' ');
      if (line == "include-system-site-packages=true") out.system_packages = true;
    }
    return out;
  }
  return std::nullopt;
}

void add_packages(const fs::path& directory, std::map<std::string, std::string>& packages) {
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().native();
    for (const std::string_view suffix : {".dist-info", ".egg-info"}) {
      if (!name.ends_with(suffix)) continue;
      const std::string_view stem = std::string_view(name).substr(0, name.size() - suffix.size());
      const std::size_t dash = stem.find('-');
      if (dash == stem.npos) continue;
      std::string_view version = stem.substr(dash + 1);
      version = version.substr(0, version.find("-py"));
      packages.emplace(stem.substr(0, dash), version);  // the first on the path is imported
    }
  }
}

}  // namespace

fs::path find_program(const std::string& program) {
  if (program.find('/') != program.npos)
    return fs::exists(program) ? fs::path(program) : fs::path();
  const char* variable = std::getenv("PATH");
  std::istringstream directories(variable != nullptr ? variable : "/usr/bin:/bin");
  for (std::string directory; std::getline(directories, directory, ':');) {
    const fs::path candidate = fs::path(directory.empty() ? "." : directory) / program;
    if (access(candidate.c_str(), X_OK) == 0 && fs::is_regular_file(candidate)) return candidate;
  }
  return {};
}

Json describe_python(std::span<const std::string> command) {
  Json out = Json::object();
  if (command.empty()) return out;
  const fs::path program = find_program(command.front());
  fs::path interpreter = program.empty() ? fs::path() : interpreter_of(program);
  if (interpreter.empty()) return out;
  if (is_script(interpreter)) {
    // A stand-in that picks the interpreter when it runs (pyenv): only that one knows which it is.
    interpreter =
        first_line(output_of(interpreter, {"-I", "-S", "-c", "import sys; print(sys.executable)"}));
    if (!fs::is_regular_file(interpreter)) return out;
  }
  std::error_code error;
  const fs::path real = fs::canonical(interpreter, error);
  out["interpreter"] = (error ? interpreter : real).native();
  const std::string version = first_line(output_of(interpreter, {"-VV"}));
  if (!version.starts_with("Python ")) return out;
  out["version"] = version.substr(7);

  // "3.11" of "3.11.2 (main, ...)" names the directories.
  const std::string_view full = std::string_view(version).substr(7);
  const std::string minor(full.substr(0, full.find('.', full.find('.') + 1)));
  const std::string library = "python" + minor;
  std::vector<fs::path> directories;
  if (const char* variable = std::getenv("PYTHONPATH")) {
    std::istringstream paths(variable);
    for (std::string path; std::getline(paths, path, ':');) directories.emplace_back(path);
  }
  const auto environment = virtual_environment(fs::absolute(interpreter));
  if (environment) {
    out["environment"] = environment->prefix.native();
    directories.push_back(environment->prefix / "lib" / library / "site-packages");
    directories.push_back(environment->prefix / "lib64" / library / "site-packages");
  }
  if (!environment || environment->system_packages) {
    if (const char* home = std::getenv("HOME");
        home != nullptr && std::getenv("PYTHONNOUSERSITE") == nullptr) {
      directories.push_back(fs::path(home) / ".local/lib" / library / "site-packages");
    }
    const fs::path prefix = real.parent_path().parent_path();
    if (prefix == "/usr")
      directories.push_back(fs::path("/usr/local/lib") / library / "dist-packages");
    directories.push_back(prefix / "lib" / library / "site-packages");
    if (prefix == "/usr") directories.emplace_back("/usr/lib/python3/dist-packages");
  }
  std::map<std::string, std::string> packages;
  for (const fs::path& directory : directories) add_packages(directory, packages);
  out["packages"] = packages;
  return out;
}

}  // namespace reprise::fingerprint
