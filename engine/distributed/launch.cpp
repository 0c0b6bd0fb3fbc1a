#include "engine/distributed/launch.h"

#include "ckpt/base/error.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <algorithm>
#include <array>
#include <chrono>
#include <vector>

namespace reprise::engine {
namespace {

constexpr int kStopped = static_cast<int>(Code::kStopped);
constexpr auto kPatience = std::chrono::seconds(10);

// A socket that listens on a free port of the loopback; rank 0 inherits it.
class ListeningSocket {
 public:
  ListeningSocket() : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    if (fd_ < 0) fail_errno(errno, "a socket for --nproc");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    if (::bind(fd_, plain, size) != 0 || ::listen(fd_, SOMAXCONN) != 0 ||
        ::getsockname(fd_, plain, &size) != 0) {
      const int error = errno;
      ::close(fd_);
      fail_errno(error, "a listening socket for --nproc");
    }
    port_ = ntohs(address.sin_port);
  }
  ~ListeningSocket() { ::close(fd_); }
  ListeningSocket(const ListeningSocket&) = delete;
  ListeningSocket& operator=(const ListeningSocket&) = delete;
  int fd() const { return fd_; }
  int port() const { return port_; }

 private:
  int fd_;
  int port_ = 0;
};

struct Child {
  pid_t pid = 0;
  bool running = true;
};

pid_t start(int rank, int processes, const ListeningSocket& socket,
            std::span<const std::string> arguments, const sigset_t& signals_before) {
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) fail_errno(errno, "starting a process of --nproc");
  if (pid > 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(static_cast<int>(Code::kInternal));
  ::sigprocmask(SIG_SETMASK, &signals_before, nullptr);
  const auto set = [](const char* name, const std::string& value) {
    ::setenv(name, value.c_str(), 1);
  };
  set("RANK", std::to_string(rank));
  set("LOCAL_RANK", std::to_string(rank));
  set("WORLD_SIZE", std::to_string(processes));
  set("LOCAL_WORLD_SIZE", std::to_string(processes));
  set("MASTER_ADDR", "127.0.0.1");
  set("MASTER_PORT", std::to_string(socket.port()));
  set("REPRISE_LISTENING_FD", std::to_string(rank == 0 ? socket.fd() : -1));
  if (rank != 0) ::close(socket.fd());
  std::vector<char*> argv;
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  ::execv("/proc/self/exe", argv.data());
  ::_exit(static_cast<int>(Code::kIo));
}

void pass_on(const std::vector<Child>& children, int signal) {
  for (const Child& child : children) {
    if (child.running) ::kill(child.pid, signal);
  }
}

// What is worth saying about the end of a process: how the first failure came about.
void tell(std::ptrdiff_t rank, int status) {
  if (WIFSIGNALED(status)) {
    std::fprintf(stderr, "rank %td was killed by signal %d; stopping the others\n", rank,
                 WTERMSIG(status));
  } else if (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != kStopped) {
    std::fprintf(stderr, "rank %td failed with exit code %d; stopping the others\n", rank,
                 WEXITSTATUS(status));
  }
}

// Notes the end of every child that has ended; returns the exit code the run has so far.
int collect(std::vector<Child>& children, int code) {
  int status = 0;
  for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    const auto child = std::ranges::find(children, pid, &Child::pid);
    if (child == children.end()) continue;
    child->running = false;
    // As shells say it: 137 is the code of what the system killed for want of memory.
    const int ended = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (code != 0 && code != kStopped) continue;
    tell(child - children.begin(), status);
    if (code == 0 || ended != 0) code = ended;
  }
  return code;
}

}  // namespace

int launch_local(int processes, std::span<const std::string> arguments) {
  if (processes < 1 || processes > 1024) {
    fail(Code::kUsage, "--nproc {}: expected 1 to 1024 processes", processes);
  }
  sigset_t signals;
  sigset_t before;
  ::sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGCHLD}) ::sigaddset(&signals, signal);
  ::sigprocmask(SIG_BLOCK, &signals, &before);

  std::vector<Child> children;
  {
    const ListeningSocket socket;
    for (int rank = 0; rank < processes; ++rank) {
      children.push_back({start(rank, processes, socket, arguments, before)});
    }
  }
  int code = 0;
  bool stopping = false;
  auto kill_at = std::chrono::steady_clock::time_point::max();
  while (std::ranges::any_of(children, &Child::running)) {
    const timespec wait{0, 200'000'000};
    const int signal = ::sigtimedwait(&signals, nullptr, &wait);
    if (signal > 0 && signal != SIGCHLD) pass_on(children, signal);
    code = collect(children, code);
    if (code != 0 && code != kStopped && !stopping) {
      stopping = true;
      kill_at = std::chrono::steady_clock::now() + kPatience;
      pass_on(children, SIGTERM);
    }
    if (std::chrono::steady_clock::now() > kill_at) {
      pass_on(children, SIGKILL);
      kill_at = std::chrono::steady_clock::time_point::max();
    }
  }
  return code;
}

}  // namespace reprise::engine
