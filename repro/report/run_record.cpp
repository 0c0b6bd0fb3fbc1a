#include "repro/report/run_record.h"

#include "ckpt/base/error.h"
#include "repro/fingerprint/fingerprint.h"

#include <algorithm>
#include <functional>
#include <set>

namespace reprise::report {
namespace {
namespace fs = std::filesystem;

// The last `parts` names of a path.
std::string tail(const fs::path& path, std::size_t parts) {
  std::vector<std::string> names;
  for (const fs::path& part : path.lexically_normal()) {
    if (!part.empty() && part != "/") names.push_back(part.native());
  }
  std::string out;
  for (std::size_t i = names.size() - std::min(parts, names.size()); i < names.size(); ++i) {
    out += (out.empty() ? "" : "/") + names[i];
  }
  return printable(out, 120);
}

// A damaged file is a line in the report; only the operating system's refusal ends it.
void attempt(RunRecord& run, const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    if (error.code() == Code::kIo) throw;
    run.problems.emplace_back(error.what());
  }
}

}  // namespace

std::uint64_t RunRecord::updates() const {
  return std::max(train.rows.empty() ? 0 : train.rows.back().update,
                  valid.rows.empty() ? 0 : valid.rows.back().update);
}

std::uint64_t RunRecord::samples_seen() const {
  return std::max(train.rows.empty() ? 0 : train.rows.back().samples_seen,
                  valid.rows.empty() ? 0 : valid.rows.back().samples_seen);
}

std::uint64_t RunRecord::epochs() const {
  // A row of train.tsv is in its epoch, a row of valid.tsv behind it.
  const std::uint64_t in = train.rows.empty() ? 0 : train.rows.back().epoch;
  return std::max(in == 0 ? 0 : in - 1, valid.rows.empty() ? 0 : valid.rows.back().epoch);
}

double RunRecord::hours() const {
  const auto time = train.column("time");
  if (!time) return 0;
  double seconds = 0;
  std::uint64_t before = 0;
  for (const HistoryRow& row : train.rows) {
    seconds += row.values[*time] * static_cast<double>(row.update - before);
    before = row.update;
  }
  return seconds / 3600;
}

RunRecord read_run(const fs::path& path) {
  // `repro capture` and `run` describe what was started, and know nothing of its training.
  if (fs::exists(path / fingerprint::kFileName) && !fs::exists(path / "run.json") &&
      !fs::exists(path / "checkpoints")) {
    fail(Code::kMismatch,
         "{}: was captured from another program: it holds neither run.json nor checkpoints, so "
         "there "
         "is nothing to show; repro diff, verify, sign and restore take it",
         printable(path.native()));
  }
  const store::RunDirectory directory = store::RunDirectory::open(path);
  RunRecord run;
  run.path = directory.path();
  run.label = tail(run.path, 1);
  attempt(run, [&] { run.info = directory.info(); });
  const auto read = [&](const char* name, History& into) {
    if (fs::exists(directory.file(name))) {
      attempt(run, [&] { into = read_history(directory.file(name)); });
    }
  };
  read("train.tsv", run.train);
  read("valid.tsv", run.valid);
  if (fs::exists(directory.file(fingerprint::kFileName))) {
    attempt(run, [&] { run.fingerprint = fingerprint::load(run.path); });
  }
  return run;
}

void label(std::vector<RunRecord>& runs) {
  for (std::size_t parts = 1; parts < 32; ++parts) {
    std::set<std::string> seen;
    for (RunRecord& run : runs) {
      run.label = tail(run.path, parts);
      seen.insert(run.label);
    }
    if (seen.size() == runs.size()) return;
  }
}

std::pair<std::string, store::MetricMode> metric_of(std::string_view text) {
  if (text.find(':') != std::string_view::npos) return store::parse_major_metric(text);
  try {
    return store::parse_major_metric(text);
  } catch (const Error&) {
    return {std::string(text), store::MetricMode::kMin};
  }
}

std::vector<std::string> metric_names(const RunRecord& run) {
  std::vector<std::string> names = run.valid.columns;
  std::erase(names, "samples");  // how many were evaluated
  return names;
}

std::optional<std::pair<std::string, store::MetricMode>> major_metric(const RunRecord& run) {
  const std::vector<std::string> names = metric_names(run);
  const auto has = [&](const std::string& name) {
    return std::ranges::find(names, name) != names.end();
  };
  if (run.fingerprint.is_object()) {
    const Json::json_pointer place(
        "/predicate/buildDefinition/externalParameters/configuration/major-metric");
    if (run.fingerprint.contains(place) && run.fingerprint.at(place).is_string()) {
      const auto named = metric_of(run.fingerprint.at(place).get_ref<const std::string&>());
      if (has(named.first)) return named;
    }
  }
  for (const char* usual : {"val/acc1", "val/mae", "val/loss"}) {
    if (has(usual)) return metric_of(usual);
  }
  if (names.empty()) return std::nullopt;
  return metric_of(names.front());
}

}  // namespace reprise::report
