#include "train/stop_request.h"

#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace reprise::train {
namespace {

constexpr std::array kSignals = {SIGTERM, SIGINT, SIGUSR1};

// Only what a signal handler may touch.
volatile std::sig_atomic_t requested = 0;
std::atomic<std::int64_t> first_interrupt_ms = 0;
static_assert(std::atomic<std::int64_t>::is_always_lock_free);

// One Ctrl-C reaches a rank of --nproc twice: from the terminal and from its parent, which passes
// on what it gets. Nobody presses twice within that time.
constexpr std::int64_t kEchoMs = 300;

std::int64_t now_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

// Kernels that oneDNN generates keep data beyond the end of the stack, where the system would put
// the frame of a handler: one signal in three in the middle of a matrix product destroyed the heap.
// So the handler runs on a stack of its own.
alignas(64) std::array<std::byte, std::size_t{64} << 10> handler_stack;

extern "C" void on_stop_signal(int signal) {
  if (signal == SIGINT) {
    if (requested != SIGINT) {
      first_interrupt_ms = now_ms();
    } else if (now_ms() - first_interrupt_ms > kEchoMs) {
      _exit(128 + SIGINT);
    }
  }
  requested = signal;
}

}  // namespace

StopRequest::StopRequest() {
  requested = 0;
  // Of this thread, the first one, which is the one that a signal to the process interrupts.
  stack_t stack = {};
  stack.ss_sp = handler_stack.data();
  stack.ss_size = handler_stack.size();
  sigaltstack(&stack, nullptr);
  struct sigaction action = {};
  action.sa_handler = on_stop_signal;
  sigemptyset(&action.sa_mask);
  // Interrupted reads and writes go on: the loop looks at the flag between updates.
  action.sa_flags = SA_RESTART | SA_ONSTACK;
  for (const int signal : kSignals) sigaction(signal, &action, nullptr);
}

double StopRequest::running_s() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
}

int StopRequest::signal() const { return requested; }

const char* signal_name(int signal) {
  switch (signal) {
    case SIGTERM: return "SIGTERM";
    case SIGINT: return "SIGINT";
    case SIGUSR1: return "SIGUSR1";
    default: return "a signal";
  }
}

}  // namespace reprise::train
