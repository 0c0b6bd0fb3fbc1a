#include "ckpt/base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace reprise {

std::string format_bytes(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 6> kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes)
                   : fmt::format("{:.{}f} {}", value, value < 10 ? 1 : 0, kUnits[unit]);
}

std::string format_duration(double seconds) {
  const auto total = static_cast<std::int64_t>(std::llround(std::max(0.0, seconds)));
  const auto hours = total / 3600;
  const auto minutes = total / 60 % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, total % 60)
                   : fmt::format("{}:{:02}", minutes, total % 60);
}

Progress::Progress(std::string label, std::uint64_t total, ProgressUnit unit, bool enabled)
    : label_(std::move(label)),
      total_(total),
      unit_(unit),
      enabled_(enabled && isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (drawn_) std::fputs("\r\033[K", stderr);
}

void Progress::add(std::uint64_t amount) {
  done_.fetch_add(amount, std::memory_order_relaxed);
  if (!enabled_) return;
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
  const auto now_ms = static_cast<std::int64_t>(elapsed.count() * 1000);
  std::int64_t due = next_draw_ms_.load(std::memory_order_relaxed);
  // One thread wins the exchange and draws; the others go on working.
  if (now_ms >= due && next_draw_ms_.compare_exchange_strong(due, now_ms + 100)) {
    const std::lock_guard lock(mutex_);
    draw(elapsed.count());
  }
}

void Progress::draw(double elapsed_s) {
  const std::uint64_t done = this->done();
  const auto show = [&](std::uint64_t n) {
    return unit_ == ProgressUnit::kBytes ? format_bytes(n) : std::to_string(n);
  };
  std::string line;
  if (total_ == 0) {
    line = fmt::format("{} {}", label_, show(done));
  } else {
    const double part = std::min(1.0, static_cast<double>(done) / static_cast<double>(total_));
    const auto filled = static_cast<std::size_t>(part * 30);
    const double left_s = part > 0 ? elapsed_s * (1 - part) / part : 0;
    line = fmt::format("{} [{:<30}] {:3.0f} % {}/{} eta {}", label_, std::string(filled, '='),
                       part * 100, show(done), show(total_), format_duration(left_s));
  }
  fmt::print(stderr, "\r{}\033[K", line);
  std::fflush(stderr);
  drawn_ = true;
}

}  // namespace reprise
