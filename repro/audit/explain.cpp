#include "repro/audit/explain.h"

#include "ckpt/base/error.h"
#include "repro/fingerprint/difference.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace reprise::audit {

namespace {

// A cause and the earliest part of an update that it can change.
struct Cause {
  std::string_view fragment;  // of the field's name
  Part earliest;
  std::string_view sentence;
};

// The first row whose fragment a field contains counts; rows go from special to general.
constexpr std::array<Cause, 27> kCauses = {{
    {"seed", Part::kData, "another seed: other initial weights, order and augmentation"},
    {"data.", Part::kLoss, "the data sets hold other files"},
    {"val", Part::kParameters, "validation does not take part in training"},
    {"code.", Part::kLoss, "the code is not the same"},
    {"files.", Part::kLoss, "an input file is not the same"},
    {"batch", Part::kData, "another batch size: other samples in an update"},
    {"accumulate", Part::kData, "other samples in an update"},
    {"shards", Part::kLoss, "other shards: sums are taken in another order"},
    {"max_samples", Part::kData, "another number of samples"},
    {"image_size", Part::kLoss, "images of another size"},
    {"patch", Part::kLoss, "another architecture"},
    {"arch", Part::kLoss, "another architecture"},
    {"augment", Part::kLoss, "other augmentation"},
    {"drop", Part::kLoss, "another rate of dropout or drop path"},
    {"smoothing", Part::kLoss, "another loss"},
    {"amp", Part::kLoss, "another precision"},
    {"load_from", Part::kLoss, "other starting weights"},
    {"warmup", Part::kParameters, "another learning rate in the first updates"},
    {"schedule", Part::kParameters, "another learning rate from some update on"},
    {"epochs", Part::kParameters, "another length: schedules that depend on it differ"},
    {"max_updates", Part::kParameters, "another length: schedules that depend on it differ"},
    {"lr", Part::kParameters, "another learning rate"},
    {"momentum", Part::kParameters, "another optimizer setting"},
    {"weight_decay", Part::kParameters, "another optimizer setting"},
    {"optimizer", Part::kParameters, "another optimizer setting"},
    {"clip", Part::kParameters, "another limit of the gradient"},
    {"ema", Part::kParameters, "another average of the weights"},
}};

struct Ranked {
  Explanation explanation;
  int lateness = 0;  // 0: can explain the part that differs; 1: acts later; 2: unlikely at all
  std::size_t order = 0;
};

const Cause* cause_of(std::string_view field) {
  const auto found = std::ranges::find_if(
      kCauses, [&](const Cause& cause) { return field.find(cause.fragment) != field.npos; });
  return found == kCauses.end() ? nullptr : &*found;
}

// Whether a setting can be behind it when `what` is the first part that differs. What
// acts early (a seed) shows early: if the data agreed, the seed's effect on it is excluded.
int lateness_of(const Cause* cause, Part what, std::uint64_t update) {
  if (cause == nullptr) return what == Part::kData ? 1 : 0;
  // From the second update on, everything before may have come through the weights,
  // but then the parameters of the update before would have differed.
  if (cause->earliest > what) return 1;
  // A seed or a batch size would have shown in the data of the first update.
  const bool shows_in_data = cause->earliest == Part::kData;
  return shows_in_data && what != Part::kData && update > 1 ? 1 : 0;
}

Explanation advice(const Divergence& divergence, bool compared) {
  Explanation left;
  if (!compared) {
    left.because =
        "not known: a run without a fingerprint cannot be compared with another one (repro "
        "capture, or train, writes it)";
    return left;
  }
  switch (divergence.what) {
    case Part::kData:
      left.because =
          "the fingerprints agree, yet other samples were drawn: the order of a folder or an index "
          "file may differ";
      break;
    case Part::kLoss:
      left.because =
          "the fingerprints agree and the samples have the same ids: their content, or an op "
          "without a fixed order, may differ";
      break;
    case Part::kGradient:
      left.because =
          "the fingerprints agree and so does the loss: an op whose backward pass has no fixed "
          "order, or a hardware error";
      break;
    case Part::kParameters:
      left.because =
          "the fingerprints agree and so do the gradients: the weights or the optimizer's state "
          "were changed between "
          "updates, by code outside the repository or by a hardware error; repro replay tells "
          "which run is right";
      break;
  }
  return left;
}

}  // namespace

std::vector<Explanation> explain(const Divergence& divergence, const Json& fingerprint_a,
                                 const Json& fingerprint_b) {
  std::vector<Ranked> ranked;
  const bool compared = !fingerprint_a.is_null() && !fingerprint_b.is_null();
  if (compared) {
    for (const fingerprint::Difference& difference :
         fingerprint::differences(fingerprint_a, fingerprint_b)) {
      const Cause* cause = cause_of(difference.field);
      const bool unlikely = difference.influence == fingerprint::Influence::kUnlikely;
      Ranked item;
      item.explanation = {
          difference.field, difference.a, difference.b,
          std::string(cause != nullptr ? cause->sentence : "it differs, and may change bits")};
      item.lateness = unlikely ? 2 : lateness_of(cause, divergence.what, divergence.a.update);
      item.order = ranked.size();
      ranked.push_back(std::move(item));
    }
  }
  std::ranges::sort(ranked, {},
                    [](const Ranked& item) { return std::pair(item.lateness, item.order); });
  std::vector<Explanation> explanations;
  const bool none_fits = ranked.empty() || ranked.front().lateness > 0;
  if (none_fits) explanations.push_back(advice(divergence, compared));
  for (Ranked& item : ranked) {
    if (item.lateness < 2) explanations.push_back(std::move(item.explanation));
  }
  return explanations;
}

std::string summary(const LedgerComparison& comparison) {
  if (!comparison.divergence) {
    const std::uint64_t shorter = std::min(comparison.updates_a, comparison.updates_b);
    if (comparison.updates_a == comparison.updates_b)
      return fmt::format("The same, for all {} updates.", shorter);
    return fmt::format("The same for {} updates; then only {} goes on, to {}.",
                       comparison.same_until, comparison.updates_a > shorter ? "A" : "B",
                       std::max(comparison.updates_a, comparison.updates_b));
  }
  const Divergence& found = *comparison.divergence;
  std::string_view what = "the samples of the batch differ";
  if (found.what == Part::kLoss) what = "the samples have the same ids, the loss differs";
  if (found.what == Part::kGradient) what = "samples and loss agree, the gradient differs";
  if (found.what == Part::kParameters)
    what = "samples, loss and gradient agree, weights or optimizer state differ";
  const std::string until = comparison.same_until == 0
                                ? "Different from the first update on"
                                : fmt::format("The same up to update {}", comparison.same_until);
  return fmt::format("{}: at {} (epoch {}, {} samples seen) {}.", until, found.a.update,
                     found.a.epoch, found.a.samples, what);
}

}  // namespace reprise::audit
