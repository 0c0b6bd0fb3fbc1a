#include "engine/schedules/schedule.h"

#include "ckpt/base/error.h"
#include "ckpt/base/nearest_name.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

namespace reprise::engine {
namespace {

double cosine_between(double start, double end, double part) {
  return end + (start - end) * (1 + std::cos(std::numbers::pi * part)) / 2;
}

// Smith and Topin 2019 as torch.optim.lr_scheduler.OneCycleLR has it by default.
double one_cycle(double highest, std::uint64_t update, std::uint64_t updates) {
  constexpr double kDivide = 25;
  constexpr double kFinalDivide = 1e4;
  const double start = highest / kDivide;
  const double rise_end = std::max(0.0, 0.3 * static_cast<double>(updates) - 1);
  const double end = std::max(rise_end, static_cast<double>(updates) - 1);
  const auto now = static_cast<double>(update);
  if (now <= rise_end) {
    return rise_end == 0 ? highest : cosine_between(start, highest, now / rise_end);
  }
  return cosine_between(highest, start / kFinalDivide, (now - rise_end) / (end - rise_end));
}

}  // namespace

Schedule::Schedule(ScheduleOptions options) : options_(std::move(options)) {
  std::vector<std::string> names;
  for (const auto& [name, about] : schedules()) names.push_back(name);
  if (std::ranges::find(names, options_.name) == names.end()) {
    const auto nearest = nearest_name(options_.name, names);
    fail(Code::kUsage, "unknown schedule '{}'{}; --list schedule shows all",
         printable(options_.name), nearest ? fmt::format("; did you mean '{}'?", *nearest) : "");
  }
  if (options_.updates == 0 || options_.updates_per_epoch == 0) {
    fail(Code::kUsage, "a schedule over no updates; set --epochs or --max-updates");
  }
  if (options_.warmup_updates > 0 && options_.name == "one-cycle") {
    fail(Code::kUsage, "one-cycle has a warm-up of its own; leave --warmup-epochs at 0");
  }
  if (options_.warmup_updates > 0 && options_.warmup_updates >= options_.updates) {
    fail(Code::kUsage, "a warm-up of {} updates does not fit a run of {}; lower --warmup-epochs",
         options_.warmup_updates, options_.updates);
  }
  for (const double value : {options_.base, options_.final, options_.warmup_start}) {
    if (!(std::isfinite(value) && value >= 0)) {
      fail(Code::kUsage, "a schedule cannot start, pass or end at {}", value);
    }
  }
  if (!(options_.power > 0) || !(options_.gamma > 0 && options_.gamma <= 1)) {
    fail(Code::kUsage, "power is {}, expected above 0; gamma is {}, expected above 0 and at most 1",
         options_.power, options_.gamma);
  }
}

double Schedule::at(std::uint64_t update) const {
  const ScheduleOptions& o = options_;
  update = std::min(update, o.updates - 1);
  if (update < o.warmup_updates) {
    return o.warmup_start + (o.base - o.warmup_start) * static_cast<double>(update) /
                                static_cast<double>(o.warmup_updates);
  }
  const std::uint64_t since = update - o.warmup_updates;
  const std::uint64_t length = o.updates - o.warmup_updates;
  const double part = static_cast<double>(since) / static_cast<double>(length);
  if (o.name == "cosine") return cosine_between(o.base, o.final, part);
  if (o.name == "linear") return o.base + (o.final - o.base) * part;
  if (o.name == "poly") return o.final + (o.base - o.final) * std::pow(1 - part, o.power);
  if (o.name == "exponential") {
    return o.base * std::pow(o.gamma, static_cast<double>(since / o.updates_per_epoch));
  }
  if (o.name == "one-cycle") return one_cycle(o.base, update, o.updates);
  return o.base;
}

std::vector<std::pair<std::string, std::string>> schedules() {
  return {{"constant", "the base value"},
          {"cosine", "half a cosine from the base to the final value"},
          {"linear", "a straight line from the base to the final value"},
          {"poly", "(1 - t)^power from the base to the final value"},
          {"exponential", "times gamma every epoch"},
          {"one-cycle", "up to the base over 30 % of the run, then down to almost nothing"}};
}

}  // namespace reprise::engine
