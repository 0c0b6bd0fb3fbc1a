// Ending from outside as an exception, so that destructors run.
#pragma once

#include <array>
#include <csignal>

namespace reprise::repro {

// Thrown by Interruption::check(). No Error: nothing failed, and there is nobody to tell.
struct Interrupted {
  int signal;
};

// While it lives, SIGINT, SIGTERM and SIGHUP are noted in place of ending the process. One at a
// time in a process; not shared between threads.
class Interruption {
 public:
  Interruption();
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  // Throws Interrupted once one of them has come.
  void check() const;

 private:
  static constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP};
  std::array<struct sigaction, kSignals.size()> before_{};
};

// Ends the process by `signal`, as it would have ended without Interruption: a shell sees which.
[[noreturn]] void end_by(int signal);

}  // namespace reprise::repro
