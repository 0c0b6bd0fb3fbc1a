// Real commands in a scratch directory, for tests that ask git, openssl or python for the truth.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace reprise::testing_shell {

namespace fs = std::filesystem;

struct Outcome {
  int code;
  std::string out;  // stdout and stderr as they came
};

// A directory that is removed with the object.
class Scratch {
 public:
  Scratch() {
    std::string name = (fs::temp_directory_path() / "reprise-test-XXXXXX").native();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = fs::canonical(name);
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const fs::path& path() const { return path_; }
  fs::path operator/(const std::string& name) const { return path_ / name; }

 private:
  fs::path path_;
};

inline Outcome shell(const fs::path& directory, const std::string& command) {
  // No configuration of the machine's owner leaks into what git does here.
  const std::string whole =
      "cd '" + directory.native() +
      "' && export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a "
      "GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org && "
      "{ " +
      command + "\n} 2>&1";
  std::FILE* pipe = popen(whole.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("popen");
  std::string out;
  std::array<char, 4096> buffer{};
  for (std::size_t n; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    out.append(buffer.data(), n);
  }
  const int status = pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128, out};
}

// As shell(), for a command that has to succeed; gives its output without the last newline.
inline std::string must(const fs::path& directory, const std::string& command) {
  Outcome outcome = shell(directory, command);
  if (outcome.code != 0) ADD_FAILURE() << command << "\n" << outcome.out;
  if (outcome.out.ends_with('\n')) outcome.out.pop_back();
  return outcome.out;
}

inline void put(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

inline std::string get(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

// What git itself says is the tree of the working copy, asked through an index of its own.
inline std::string git_tree_of(const fs::path& repository) {
  return must(repository,
              "index=$(mktemp -u) && cp \"$(git rev-parse --git-path index)\" $index 2>/dev/null; "
              "export GIT_INDEX_FILE=$index; git add -A >/dev/null 2>&1; git write-tree; "
              "rm -f $index");
}

}  // namespace reprise::testing_shell
