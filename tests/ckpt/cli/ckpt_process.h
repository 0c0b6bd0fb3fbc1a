// The real `ckpt` binary, run in a scratch folder.
#pragma once

#include "tests/ckpt/store/sample_checkpoint.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace reprise::cli {

struct Outcome {
  int code = 0;
  std::string out;
  std::string err;
};

inline std::string content(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// Runs ckpt with `arguments` in `folder`; `before` runs in the child, before it starts.
inline Outcome ckpt(const std::filesystem::path& folder, std::vector<std::string> arguments,
                    void (*before)() = nullptr) {
  const sample::Scratch streams;
  const pid_t child = fork();
  if (child == 0) {
    arguments.insert(arguments.begin(), "ckpt");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const int out = open((streams / "out").c_str(), O_WRONLY | O_CREAT, 0600);
    const int err = open((streams / "err").c_str(), O_WRONLY | O_CREAT, 0600);
    if (chdir(folder.c_str()) != 0 || dup2(out, 1) == -1 || dup2(err, 2) == -1) _exit(99);
    if (before != nullptr) before();
    execv(REPRISE_BIN_CKPT, argv.data());
    _exit(98);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
          content(streams / "out"), content(streams / "err")};
}

}  // namespace reprise::cli
