#include "ckpt/base/error.h"
#include "repro/cli/capture.h"
#include "repro/cli/commands.h"
#include "repro/fingerprint/fingerprint.h"
#include "repro/fingerprint/python.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <memory>

namespace reprise::repro {
namespace {

constexpr std::array kForwarded = {SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};

volatile sig_atomic_t running_child = 0;

void forward(int signal) {
  if (running_child > 0) kill(static_cast<pid_t>(running_child), signal);
}

// Runs `command` and gives its exit code, 128 + signal when a signal ended it. Signals that ask us
// to stop go to the command, which decides: a checkpoint may have to be written first.
int run_command(const std::vector<std::string>& command) {
  std::vector<std::string> arguments = command;
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);

  // Held back until the command runs and its process id is known: one that came between would end
  // us, and leave the command alone.
  sigset_t forwarded;
  sigemptyset(&forwarded);
  for (const int signal : kForwarded) sigaddset(&forwarded, signal);
  sigset_t before;
  sigprocmask(SIG_BLOCK, &forwarded, &before);

  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  struct sigaction pass {};
  pass.sa_handler = forward;
  sigset_t defaults;
  sigemptyset(&defaults);
  // A terminal sends these to the command, too.
  for (const int signal : {SIGINT, SIGQUIT}) {
    sigaction(signal, &ignore, nullptr);
    sigaddset(&defaults, signal);
  }
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setsigmask(&attributes, &before);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  pid_t child = 0;
  const int rc = posix_spawnp(&child, argv[0], nullptr, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  running_child = static_cast<sig_atomic_t>(rc == 0 ? child : 0);
  for (const int signal : kForwarded) sigaction(signal, &pass, nullptr);
  sigprocmask(SIG_SETMASK, &before, nullptr);
  if (rc != 0) fail_errno(rc, "starting " + printable(command.front()));
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) fail_errno(errno, "waiting for " + printable(command.front()));
  }
  running_child = 0;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int run(const CaptureOptions& options, Io& io) {
  if (fingerprint::find_program(options.command.front()).empty()) {
    fail(Code::kNotFound, "{}: no such command", printable(options.command.front()));
  }
  const Captured captured = capture_into(options, io);
  io.detail("record {} in {}", captured.record, options.output.native());
  const auto start = std::chrono::steady_clock::now();
  const int code = run_command(options.command);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  fingerprint::finish(options.output, captured.record, code, elapsed.count());
  return code;
}

}  // namespace

void add_run(CommandLine& app) {
  auto options = std::make_shared<CaptureOptions>();
  Command& command = app.command("run", "Capture, then run a command and record how it ended");
  command.about(
      "Does what capture does, for the command given, then runs it with this terminal, environment "
      "and directory, and adds its exit status and duration to the fingerprint. For a Python "
      "command the interpreter and its packages are captured, too. SIGTERM and the like are passed "
      "on to the command.");
  describe_capture(command, *options);
  command.rest("CMD...", options->command, "the command to run, with its options");
  command.example("repro run -o runs/a -- python train.py --lr 0.1");
  command.exit_code(0,
                    "the command ended with 0; otherwise with the command's own code, or 128 + "
                    "the signal that ended it");
  command.on_run([options](Io& io) { return run(*options, io); });
}

}  // namespace reprise::repro
