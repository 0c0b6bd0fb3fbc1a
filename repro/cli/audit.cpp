#include "ckpt/base/error.h"
#include "ckpt/base/json.h"
#include "repro/audit/compare_ledgers.h"
#include "repro/audit/explain.h"
#include "repro/cli/commands.h"
#include "repro/fingerprint/difference_text.h"
#include "repro/fingerprint/fingerprint.h"

#include <memory>

namespace reprise::repro {
namespace {
namespace fs = std::filesystem;

struct AuditOptions {
  fs::path a, b;
};

// A run directory's ledger, or the file itself.
fs::path ledger_of(const fs::path& place) {
  std::error_code ignored;
  if (!fs::exists(place, ignored)) {
    fail(Code::kNotFound, "{}: no such run directory or ledger", printable(place.native()));
  }
  if (!fs::is_directory(place, ignored)) return place;
  const fs::path ledger = place / "ledger.jsonl";
  if (!fs::exists(ledger, ignored)) {
    fail(Code::kNotFound,
         "{}: has no ledger.jsonl; train writes one unless told --no-ledger, and repro diff "
         "compares what runs of any program were made of",
         printable(place.native()));
  }
  return ledger;
}

// The fingerprint beside a ledger; null when there is none.
Json fingerprint_of(const fs::path& place, Io& io) {
  std::error_code ignored;
  const fs::path file =
      (fs::is_directory(place, ignored) ? place : place.parent_path()) / fingerprint::kFileName;
  if (!fs::exists(file, ignored)) {
    io.warn("{}: no {}; causes cannot be named without it", place.native(), fingerprint::kFileName);
    return nullptr;
  }
  return fingerprint::load(file);
}

Json side_json(const ledger::UpdateLine& line) {
  return {{"update", line.update},
          {"epoch", line.epoch},
          {"samples", line.samples},
          {"batch", line.batch},
          {"loss", ledger::hex_float(line.loss)},
          {"grad", line.grad},
          {"param", line.param},
          {"rng", line.rng}};
}

Json json_of(const audit::LedgerComparison& comparison,
             const std::vector<audit::Explanation>& explanations) {
  Json json = {{"same", comparison.same},
               {"compared_updates", comparison.compared_updates},
               {"same_until", comparison.same_until},
               {"updates", {{"a", comparison.updates_a}, {"b", comparison.updates_b}}},
               {"aligned_by", comparison.aligned_by_samples ? "samples" : "updates"},
               {"summary", audit::summary(comparison)},
               {"first_divergence", nullptr},
               {"tensors", comparison.tensors.names},
               {"tensors_recorded_at",
                comparison.tensors.update == 0 ? Json(nullptr) : Json(comparison.tensors.update)},
               {"explanations", Json::array()}};
  if (comparison.divergence) {
    json["first_divergence"] = {{"update", comparison.divergence->a.update},
                                {"what", audit::to_string(comparison.divergence->what)},
                                {"random_differs", comparison.divergence->random_differs},
                                {"a", side_json(comparison.divergence->a)},
                                {"b", side_json(comparison.divergence->b)}};
  }
  for (const audit::Explanation& item : explanations) {
    json["explanations"].push_back(
        {{"field", item.field}, {"a", item.a}, {"b", item.b}, {"because", item.because}});
  }
  return json;
}

void print_tensors(const audit::DifferingTensors& tensors, Io& io) {
  constexpr std::size_t kShown = 10;
  const bool all = tensors.names.size() == tensors.recorded;  // naming them says nothing then
  io.print("Of the {} tensors that both recorded at update {}, {} differ{}\n", tensors.recorded,
           tensors.update, all ? "all" : std::to_string(tensors.names.size()),
           all || tensors.names.empty() ? "." : ":");
  if (all) return;
  for (std::size_t i = 0; i < tensors.names.size() && i < kShown; ++i) {
    io.print("  {}\n", printable(tensors.names[i]));
  }
  if (tensors.names.size() > kShown) io.print("  ... (--json lists all)\n");
}

void print(const audit::LedgerComparison& comparison,
           const std::vector<audit::Explanation>& explanations, Io& io) {
  const std::string line = audit::summary(comparison);
  io.print("{}\n", comparison.same ? io.green(line) : io.red(line));
  if (comparison.aligned_by_samples) {
    io.print(
        "Their updates take other numbers of samples, so they are compared after as many "
        "samples.\n");
  }
  if (comparison.same) return;
  if (comparison.tensors.update != 0) {
    print_tensors(comparison.tensors, io);
  } else {
    io.print("Which tensors differ was not recorded; train --ledger-tensors K does that.\n");
  }
  io.print("Likely because:\n");
  constexpr std::size_t kShown = 5;
  for (std::size_t i = 0; i < explanations.size() && i < kShown; ++i) {
    const audit::Explanation& item = explanations[i];
    io.print("  {}. {}\n", i + 1, item.because);
    if (item.field.empty()) continue;
    const auto text = fingerprint::text_of(item.field, item.a, item.b);
    io.print("     {}: {} in A, {} in B\n", io.bold(printable(item.field)), text.a, text.b);
  }
}

int run(const AuditOptions& options, Io& io) {
  const audit::LedgerComparison comparison =
      audit::compare_ledgers(ledger_of(options.a), ledger_of(options.b));
  std::vector<audit::Explanation> explanations;
  if (comparison.divergence) {
    explanations = audit::explain(*comparison.divergence, fingerprint_of(options.a, io),
                                  fingerprint_of(options.b, io));
  }
  if (io.json) {
    io.print_json(json_of(comparison, explanations));
  } else {
    print(comparison, explanations, io);
  }
  return comparison.same ? 0 : static_cast<int>(Code::kNo);
}

}  // namespace

void add_audit(CommandLine& app) {
  auto options = std::make_shared<AuditOptions>();
  Command& command =
      app.command("audit", "Find the first update at which two runs parted, and why");
  command.about(
      "Compares two ledgers update by update, aligned by samples seen, so that runs of other "
      "lengths and of other "
      "numbers of processes compare too. Says what parted first (data, loss, gradient or "
      "parameters), which tensors "
      "differ where they were recorded, and which differences between the fingerprints can explain "
      "it.");
  command.positional("A", options->a, "run directory, or its ledger.jsonl");
  command.positional("B", options->b, "run directory, or its ledger.jsonl");
  command.example("repro audit runs/a/20261121-002911 runs/b/20261121-013000",
                  "where they parted, and the likely cause");
  command.exit_code(1, "the runs differ");
  command.exit_code(15, "the runs have no point in common to be compared at");
  command.on_run([options](Io& io) { return run(*options, io); });
}

}  // namespace reprise::repro
