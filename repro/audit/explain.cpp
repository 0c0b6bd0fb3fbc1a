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
constexpr std::array<Cause, 28> kCauses = {{
    {"seed", Part::kData, "another seed: other initial weights, order and augmentation"},
    {"data.", Part::kLoss, "the data are not the same: other files, or other content"},
    {"val", Part::kParameters, "validation does not take part in training"},
    {"code.", Part::kLoss, "the code is not the same"},
    {"files.", Part::kLoss, "an input file is not the same"},
    {"software.program", Part::kLoss, "the program is another build"},
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

// A seed stands in the configuration, too: one cause, said once.
bool said_as_seed(const fingerprint::Difference& difference,
                  const std::vector<fingerprint::Difference>& all) {
  constexpr std::string_view kConfiguration = "configuration.";
  if (!difference.field.starts_with(kConfiguration)) return false;
  const std::string seed = "seeds." + difference.field.substr(kConfiguration.size());
  return std::ranges::any_of(all, [&](const fingerprint::Difference& other) {
    return other.field == seed && other.a == difference.a && other.b == difference.b;
  });
}

const Cause* cause_of(std::string_view field) {
  std::string name(field);  // options are written with dashes on a command line
  std::ranges::replace(name, '-', '_');
  const auto found = std::ranges::find_if(
      kCauses, [&](const Cause& cause) { return name.find(cause.fragment) != name.npos; });
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
          "the fingerprints agree and the samples have the same ids: their content, an op without "
          "a "
          "fixed order, or the weights themselves (changed between updates, by a hardware error or "
          "by hand) may differ; repro replay tells which run is right";
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

// The states that the processes say they went on from.
class States {
 public:
  States(const Divergence& divergence, const Json& fingerprint_a, const Json& fingerprint_b)
      : before_(divergence.state_before),
        update_(divergence.a.update),
        a_(state_of(fingerprint_a, divergence.a.update)),
        b_(state_of(fingerprint_b, divergence.b.update)) {}

  // A process that did not go on from what its run had.
  std::optional<Explanation> changed() const {
    const bool a = differs(a_), b = differs(b_);
    if (!a && !b) return std::nullopt;
    return Explanation{
        "state", a ? a_ : Json(before_), b ? b_ : Json(before_),
        fmt::format("{} from weights or an optimizer state that differ from those "
                    "after update {}: the checkpoint was changed, or memory failed",
                    a && b ? "both went on" : (a ? "A went on" : "B went on"), update_ - 1)};
  }
  // Runs whose first updates start from different weights, by a seed or by --load-from.
  std::optional<Explanation> other_start() const {
    if (!before_.empty() || !a_.is_string() || !b_.is_string() || a_ == b_) return std::nullopt;
    return Explanation{"state", a_, b_, "they start from other weights"};
  }

 private:
  static Json state_of(const Json& fingerprint, std::uint64_t update) {
    if (fingerprint.is_null()) return nullptr;
    const Json* process = fingerprint::process_of(fingerprint, update);
    if (process == nullptr || process->at("from_update") != update - 1) return nullptr;
    return process->value("state", Json());
  }
  bool differs(const Json& state) const {
    return state.is_string() && !before_.empty() && state != before_;
  }

  const std::string& before_;
  std::uint64_t update_;
  Json a_, b_;
};

}  // namespace

std::vector<Explanation> explain(const Divergence& divergence, const Json& fingerprint_a,
                                 const Json& fingerprint_b) {
  std::vector<Ranked> ranked;
  const bool compared = !fingerprint_a.is_null() && !fingerprint_b.is_null();
  if (compared) {
    const auto all = fingerprint::differences_at(fingerprint_a, divergence.a.update, fingerprint_b,
                                                 divergence.b.update);
    for (const fingerprint::Difference& difference : all) {
      if (said_as_seed(difference, all)) continue;
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
  const States states(divergence, fingerprint_a, fingerprint_b);
  const auto changed = states.changed();
  auto other_start = states.other_start();
  if (changed) explanations.push_back(*changed);
  const bool none_fits = ranked.empty() || ranked.front().lateness > 0;
  if (none_fits && !changed && !other_start) explanations.push_back(advice(divergence, compared));
  for (Ranked& item : ranked) {
    if (item.lateness > 0 && other_start) {
      explanations.push_back(*other_start);
      other_start.reset();
    }
    if (item.lateness < 2) explanations.push_back(std::move(item.explanation));
  }
  if (other_start) explanations.push_back(*other_start);
  return explanations;
}

std::string summary(const LedgerComparison& comparison) {
  if (!comparison.divergence) {
    const std::uint64_t shorter = std::min(comparison.updates_a, comparison.updates_b);
    const std::string same = comparison.compared_updates == comparison.same_until
                                 ? fmt::format("for all {} updates", comparison.compared_updates)
                                 : fmt::format("for all {} updates after which both were recorded",
                                               comparison.compared_updates);
    if (comparison.aligned_by_samples || comparison.updates_a == comparison.updates_b)
      return fmt::format("The same, {}.", same);
    return fmt::format("The same up to update {}; then only {} goes on, to {}.",
                       comparison.same_until, comparison.updates_a > shorter ? "A" : "B",
                       std::max(comparison.updates_a, comparison.updates_b));
  }
  const Divergence& found = *comparison.divergence;
  std::string_view what = "the update took other samples";
  if (found.what == Part::kLoss) what = "the same samples gave another loss";
  if (found.what == Part::kGradient)
    what = "the same samples gave the same loss, but another gradient";
  if (found.what == Part::kParameters) {
    what =
        "samples, loss and gradient are the same, but the update left other weights or another "
        "optimizer state";
  }
  const std::string until = comparison.same_until == 0
                                ? "Different from the first update on"
                                : fmt::format("The same up to update {}", comparison.same_until);
  // Epochs count from 1 for people, as in the names of checkpoints.
  return fmt::format("{}: at update {} (epoch {}, {} samples seen) {}.", until, found.a.update,
                     found.a.epoch + 1, found.a.samples, what);
}

}  // namespace reprise::audit
