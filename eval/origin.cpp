#include "eval/origin.h"

#include "ckpt/base/error.h"
#include "ckpt/store/metrics.h"
#include "engine/device/device.h"
#include "experiment/config.h"
#include "experiment/parts.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>

namespace reprise::eval {
namespace {

bool same_bits(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) ||
         std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

std::vector<std::string> visible_causes(const Subject& subject, c10::Device device) {
  std::vector<std::string> causes;
  const experiment::DataFacts& facts = subject.facts;
  const Json& trained = subject.loaded.checkpoint.config;
  const std::int64_t limit_then = trained.value("max-eval-samples", std::int64_t{0});
  if (limit_then != subject.config.max_eval_samples) {
    causes.push_back(
        fmt::format("max-eval-samples is {}, was {}", subject.config.max_eval_samples, limit_then));
  }
  const std::string digest = subject.dataset->digest().hex();
  if (digest != facts.val_digest) {
    causes.push_back(
        fmt::format("other data: {} samples with digest {}..., training had {} with "
                    "{}...",
                    subject.dataset->size(), digest.substr(0, 12), facts.val_samples,
                    facts.val_digest.substr(0, 12)));
  }
  const std::string device_then = experiment::device_kind_of(trained);
  const std::string device_now = engine::device_kind(device);
  if (!device_then.empty() && device_then != device_now) {
    causes.push_back(fmt::format("device is {}, was {}", device_now, printable(device_then, 40)));
  }
  if (causes.empty()) {
    causes.push_back(
        "none visible in data and settings: other code, libraries or hardware; compare "
        "with repro diff");
  }
  return causes;
}

}  // namespace

OriginComparison compare_with_training(const Subject& subject, const engine::Metrics& metrics,
                                       c10::Device device) {
  OriginComparison out;
  const Checkpoint& checkpoint = subject.loaded.checkpoint;
  if (!subject.trained_here || !checkpoint.progress) return out;
  const store::MetricsState logged = store::MetricsState::from(checkpoint.metrics);
  for (const auto& [name, value] : metrics) {
    const store::Metric* metric = logged.find(name);
    const auto trained =
        metric == nullptr ? std::nullopt : metric->value_at(checkpoint.progress->update);
    if (!trained) continue;
    const bool same = same_bits(*trained, value);
    out.equal = out.equal.value_or(true) && same;
    if (!same) out.differences.push_back({name, *trained, value});
  }
  if (out.equal == false) out.causes = visible_causes(subject, device);
  return out;
}

}  // namespace reprise::eval
