// All that a report says about one run, read once.
#pragma once

#include "ckpt/base/json.h"
#include "ckpt/store/metrics.h"
#include "ckpt/store/run_directory.h"
#include "repro/report/history.h"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace reprise::report {

// A value; not changed when the run goes on.
struct RunRecord {
  std::filesystem::path path;
  std::string label;  // the last parts of the path; fit to print
  store::RunInfo info;
  History train;  // empty where the run has no such file
  History valid;
  Json fingerprint;  // the statement; null where there is none
  // Files of the run that could not be read, each with the reason. They count as missing.
  std::vector<std::string> problems;

  // Still being written to.
  bool writing() const { return info.state == store::RunState::kRunning; }
  // The furthest row of both tables.
  std::uint64_t updates() const;
  std::uint64_t samples_seen() const;
  std::uint64_t epochs() const;  // completed
  double hours() const;          // spent in updates; evaluations and saves are not counted
};

// Reads tables, state and fingerprint; opens no checkpoint. What is damaged becomes a problem
// of the record, so that one bad file does not hide the others.
// Errors: kNotFound when `path` does not exist, kMismatch when it is no run; kIo.
RunRecord read_run(const std::filesystem::path& path);

// Makes labels as short as they can be while they tell the runs apart.
void label(std::vector<RunRecord>& runs);

// A metric and its direction: "val/acc1:max" says it, "val/acc1" has the usual one of its name;
// where nobody knows, smaller is better. Errors: kUsage for another word behind the colon.
std::pair<std::string, store::MetricMode> metric_of(std::string_view text);

// The metric that decides: the one the configuration names, else the first of val/acc1, val/mae
// and val/loss that `run` has, else its first one.
std::optional<std::pair<std::string, store::MetricMode>> major_metric(const RunRecord& run);

// The columns of valid.tsv that are measurements.
std::vector<std::string> metric_names(const RunRecord& run);

}  // namespace reprise::report
