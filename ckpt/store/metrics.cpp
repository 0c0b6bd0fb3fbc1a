#include "ckpt/store/metrics.h"

#include "ckpt/base/error.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace reprise::store {

namespace {

[[noreturn]] void wrong(std::string_view metric, std::string_view key, const Json& found,
                        std::string_view expected) {
  fail(Code::kCorrupt, "metrics: '{}': '{}' is {}, {} was expected", printable(metric, 80), key,
       found.type_name(), expected);
}

double number(std::string_view metric, std::string_view key, const Json& json) {
  if (json.is_null()) return std::numeric_limits<double>::quiet_NaN();
  if (!json.is_number()) wrong(metric, key, json, "a number");
  return json.get<double>();
}

bool flag(std::string_view metric, std::string_view key, const Json& json) {
  if (!json.is_boolean()) wrong(metric, key, json, "true or false");
  return json.get<bool>();
}

std::uint64_t count(std::string_view metric, std::string_view key, const Json& json) {
  if (!json.is_number_unsigned()) wrong(metric, key, json, "a whole number of at least 0");
  return json.get<std::uint64_t>();
}

const Json& array(std::string_view metric, std::string_view key, const Json& json) {
  if (!json.is_array()) wrong(metric, key, json, "an array");
  return json;
}

Metric metric_from(std::string_view name, const Json& json) {
  Metric metric;
  for (const auto& [key, value] : json.items()) {
    if (key == "mode") {
      const auto mode =
          value.is_string() ? metric_mode_from(value.get_ref<const std::string&>()) : std::nullopt;
      if (!mode) wrong(name, key, value, "\"min\" or \"max\"");
      metric.mode = *mode;
    } else if (key == "use_for_is_best") {
      metric.use_for_is_best = flag(name, key, value);
    } else if (key == "use_for_plateau_detection") {
      metric.use_for_plateau_detection = flag(name, key, value);
    } else if (key == "patience") {
      metric.patience = count(name, key, value);
    } else if (key == "min_delta") {
      metric.min_delta = number(name, key, value);
    } else if (key == "percentage") {
      metric.percentage = flag(name, key, value);
    } else if (key == "values") {
      for (const Json& item : array(name, key, value))
        metric.values.push_back(number(name, key, item));
    } else if (key == "updates") {
      for (const Json& item : array(name, key, value))
        metric.updates.push_back(count(name, key, item));
    } else if (key == "best") {
      const double best = number(name, key, value);
      if (std::isfinite(best)) metric.best = best;
    } else if (key == "unchanged_for_epochs") {
      metric.unchanged_for_epochs = count(name, key, value);
    } else {
      metric.others[key] = value;
    }
  }
  if (!metric.updates.empty() && metric.updates.size() != metric.values.size()) {
    fail(Code::kCorrupt, "metrics: '{}' has {} values and {} updates", printable(name, 80),
         metric.values.size(), metric.updates.size());
  }
  return metric;
}

// JSON has no NaN; null is what comes back as one.
Json json_number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

}  // namespace

std::string_view to_string(MetricMode mode) { return mode == MetricMode::kMin ? "min" : "max"; }

std::optional<MetricMode> metric_mode_from(std::string_view name) {
  if (name == "min") return MetricMode::kMin;
  if (name == "max") return MetricMode::kMax;
  return std::nullopt;
}

bool Metric::improves(double value) const {
  if (!std::isfinite(value)) return false;
  if (!best) return true;
  const double margin = percentage ? std::abs(*best) * min_delta / 100 : min_delta;
  return mode == MetricMode::kMin ? value < *best - margin : value > *best + margin;
}

bool Metric::record(double value, std::uint64_t update) {
  // A history that did not say its updates cannot begin to in the middle.
  if (updates.size() == values.size()) updates.push_back(update);
  values.push_back(std::isfinite(value) ? value : std::numeric_limits<double>::quiet_NaN());
  if (!improves(value)) {
    ++unchanged_for_epochs;
    return false;
  }
  best = value;
  unchanged_for_epochs = 0;
  return true;
}

bool Metric::last_is_best() const {
  if (values.empty() || !std::isfinite(values.back())) return false;
  const double last = values.back();
  return std::none_of(values.begin(), values.end() - 1, [&](double before) {
    return mode == MetricMode::kMin ? before <= last : before >= last;  // NaN is neither
  });
}

void Metric::set_mode(MetricMode other) {
  if (mode == other) return;
  mode = other;
  best.reset();
  unchanged_for_epochs = 0;
  for (const double value : values) {
    if (improves(value)) {
      best = value;
      unchanged_for_epochs = 0;
    } else {
      ++unchanged_for_epochs;
    }
  }
}

std::optional<double> Metric::value_at(std::uint64_t update) const {
  if (values.empty()) return std::nullopt;
  if (!updates.empty() && updates.back() != update) return std::nullopt;
  return values.back();
}

MetricsState MetricsState::from(const Json& metrics) {
  MetricsState state;
  if (!metrics.is_object()) return state;
  for (const auto& [name, value] : metrics.items()) {
    if (value.is_object() && value.contains("mode")) {
      state.metrics_.emplace_back(name, metric_from(name, value));
    } else {
      state.others_[name] = value;
    }
  }
  return state;
}

Json MetricsState::to_json() const {
  Json json = Json::object();
  for (const auto& [name, metric] : metrics_) {
    Json values = Json::array();
    for (const double value : metric.values) values.push_back(json_number(value));
    Json entry = {{"mode", to_string(metric.mode)},
                  {"use_for_is_best", metric.use_for_is_best},
                  {"use_for_plateau_detection", metric.use_for_plateau_detection},
                  {"patience", metric.patience},
                  {"min_delta", metric.min_delta},
                  {"percentage", metric.percentage},
                  {"values", std::move(values)},
                  {"best", metric.best ? Json(*metric.best) : Json(nullptr)},
                  {"unchanged_for_epochs", metric.unchanged_for_epochs}};
    if (!metric.updates.empty()) entry["updates"] = metric.updates;
    entry.update(metric.others);
    json[name] = std::move(entry);
  }
  json.update(others_);
  return json;
}

Metric& MetricsState::add(std::string_view name, MetricMode mode) {
  if (Metric* known = find(name)) return *known;
  metrics_.emplace_back(std::string(name), Metric());
  metrics_.back().second.mode = mode;
  return metrics_.back().second;
}

const Metric* MetricsState::find(std::string_view name) const {
  for (const auto& [key, metric] : metrics_) {
    if (key == name) return &metric;
  }
  return nullptr;
}

Metric* MetricsState::find(std::string_view name) {
  return const_cast<Metric*>(std::as_const(*this).find(name));
}

const std::pair<std::string, Metric>* MetricsState::major() const {
  for (const auto& entry : metrics_) {
    if (entry.second.use_for_is_best) return &entry;
  }
  return nullptr;
}

void MetricsState::set_major(std::string_view name, MetricMode mode) {
  for (auto& [key, metric] : metrics_) {
    metric.use_for_is_best = false;
    if (key != name) metric.use_for_plateau_detection = false;
  }
  Metric& metric = add(name, mode);
  metric.set_mode(mode);
  metric.use_for_is_best = true;
}

std::pair<std::string, MetricMode> parse_major_metric(std::string_view text) {
  const auto colon = text.rfind(':');
  const std::string name(text.substr(0, colon));
  if (name.empty())
    fail(Code::kUsage, "'{}' names no metric; write it as val/acc1:max", printable(text));
  if (colon != std::string_view::npos) {
    const auto mode = metric_mode_from(text.substr(colon + 1));
    if (!mode) {
      fail(Code::kUsage, "'{}': the direction is min or max, as in val/acc1:max", printable(text));
    }
    return {name, *mode};
  }
  constexpr std::string_view kLargerIsBetter[] = {"acc",       "auc",    "iou", "f1",   "map",
                                                  "precision", "recall", "r2",  "psnr", "ssim"};
  constexpr std::string_view kSmallerIsBetter[] = {"loss",  "mae", "mse",       "rmse",
                                                   "error", "err", "perplexity"};
  const auto holds = [&](std::string_view part) { return name.find(part) != std::string::npos; };
  const bool larger = std::ranges::any_of(kLargerIsBetter, holds);
  const bool smaller = std::ranges::any_of(kSmallerIsBetter, holds);
  if (larger == smaller) {
    fail(Code::kUsage, "'{}': say whether it is to grow or to shrink, as in {}:max",
         printable(text), printable(text));
  }
  return {name, larger ? MetricMode::kMax : MetricMode::kMin};
}

}  // namespace reprise::store
