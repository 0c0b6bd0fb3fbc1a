// A progress bar with an estimate, on stderr, for anything that takes over a second.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

namespace reprise {

enum class ProgressUnit { kItems, kBytes };

// "1.2 GiB", "340 KiB", "17 B".
std::string format_bytes(std::uint64_t bytes);
// "0:07", "3:13:52".
std::string format_duration(double seconds);

// Draws at most ten times a second, only when stderr is a terminal and only after
// the first second; removes its line when destroyed. add() may be called from any
// thread and costs one atomic addition when there is nothing to draw.
class Progress {
 public:
  // `total` 0 means unknown: a count is shown in place of the bar.
  Progress(std::string label, std::uint64_t total, ProgressUnit unit, bool enabled = true);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void add(std::uint64_t amount);
  std::uint64_t done() const { return done_.load(std::memory_order_relaxed); }

 private:
  void draw(double elapsed_s);
  std::string label_;
  std::uint64_t total_;
  ProgressUnit unit_;
  bool enabled_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::atomic<std::uint64_t> done_{0};
  std::atomic<std::int64_t> next_draw_ms_{1000};
  std::mutex mutex_;
};

}  // namespace reprise
