#include "repro/export/mlflow.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/base/new_directory.h"
#include "ckpt/base/sha256.h"
#include "repro/export/run_facts.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>

namespace reprise::exporting {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLongestParameter = 6000;  // mlflow.utils.validation

// A YAML scalar that is text whatever it holds.
std::string yaml_text(const std::string& text) {
  std::string out = "'";
  for (const char c : printable(text, kLongestParameter)) {
    if (c == '\'') out += '\'';
    out += c;
  }
  out += '\'';
  return out;
}

// A key is a path below the run for MLflow, which takes letters, digits and "_-. :/".
std::string key_of(std::string key) {
  constexpr std::string_view kAlso = "_-. /";
  for (char& c : key) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && kAlso.find(c) == kAlso.npos) c = '_';
  }
  while (key.starts_with('/') || key.starts_with('.')) key.erase(0, 1);
  for (auto at = key.find(".."); at != key.npos; at = key.find("..")) key[at] = '_';
  return key.empty() ? "_" : key;
}

void put(const fs::path& path, const std::string& text) {
  make_directories(path.parent_path());
  write_text(path, text);
}

// 18 digits, as MLflow makes them, but the same for the same name.
std::string experiment_id(const std::string& name) {
  std::uint64_t id = 0;
  for (const char digit : sha256(name).hex().substr(0, 15)) {
    id = id * 16 + static_cast<std::uint64_t>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
  }
  return fmt::format("{:018}", id % 900'000'000'000'000'000ULL + 100'000'000'000'000'000ULL);
}

std::string text_of(const Json& value) {
  const std::string text = value.is_string() ? value.get<std::string>() : dump_json(value);
  return text.substr(0, kLongestParameter);
}

void add_metrics(const report::History& history, const std::string& prefix, std::int64_t start_ms,
                 std::map<std::string, std::string>& metrics) {
  const auto seconds = history.column("time");
  double elapsed_s = 0;
  std::uint64_t before = 0;
  for (const report::HistoryRow& row : history.rows) {
    if (seconds && std::isfinite(row.values[*seconds])) {
      elapsed_s +=
          row.values[*seconds] * static_cast<double>(row.update - std::min(before, row.update));
    }
    before = row.update;
    const auto at = start_ms + static_cast<std::int64_t>(elapsed_s * 1000);
    for (std::size_t i = 0; i < history.columns.size(); ++i) {
      if (std::isnan(row.values[i])) continue;
      const std::string& name = history.columns[i];
      const std::string key = key_of(name.find('/') == std::string::npos ? prefix + name : name);
      metrics[key] += fmt::format("{} {} {}\n", at, row.values[i], row.update);
    }
  }
}

int status_of(store::RunState state) {
  switch (state) {
    case store::RunState::kRunning: return 1;
    case store::RunState::kFinished: return 3;
    case store::RunState::kStopped: return 5;
    default: return 4;
  }
}

void write_experiment(const fs::path& folder, const std::string& id, const std::string& name,
                      std::int64_t time_ms) {
  if (fs::exists(folder / "meta.yaml")) return;
  put(folder / "meta.yaml",
      fmt::format("artifact_location: {}\ncreation_time: {}\nexperiment_id: '{}'\n"
                  "last_update_time: {}\nlifecycle_stage: active\nname: {}\n",
                  yaml_text("file://" + folder.native()), time_ms, id, time_ms, yaml_text(name)));
}

}  // namespace

fs::path export_mlflow(const report::RunRecord& run, const std::string& experiment,
                       const fs::path& root) {
  const std::int64_t start_ms = milliseconds_of(run.info.started);
  const std::string id = experiment_id(experiment);
  const fs::path folder = fs::absolute(root).lexically_normal() / id;
  std::string run_id = run.info.run.text();
  std::erase(run_id, '-');
  const fs::path target = folder / run_id;
  if (fs::exists(target)) {
    fail(Code::kMismatch, "{}: holds this run already; remove it to export the run anew",
         target.native());
  }
  write_experiment(folder, id, experiment, start_ms);

  NewDirectory made(target);
  const fs::path& partial = made.path();
  for (const char* empty : {"params", "metrics", "tags", "artifacts"}) {
    make_directories(partial / empty);
  }
  for (const char* key : {"configuration", "seeds"}) {
    const Json parameters = parameters_of(run, key);
    for (const auto& [name, value] : parameters.items()) {
      put(partial / "params" / key_of(name), text_of(value));
    }
  }
  std::map<std::string, std::string> metrics;
  add_metrics(run.train, "train/", start_ms, metrics);
  add_metrics(run.valid, "val/", start_ms, metrics);
  for (const auto& [key, lines] : metrics) put(partial / "metrics" / key, lines);

  put(partial / "tags" / "mlflow.runName", run.label);
  put(partial / "tags" / "reprise.run", run.info.run.text());
  if (const std::string command = command_of(run); !command.empty()) {
    put(partial / "tags" / "mlflow.source.name", command);
  }
  if (run.fingerprint.is_object()) {
    for (const Json& dependency :
         run.fingerprint.at("predicate").at("buildDefinition").at("resolvedDependencies")) {
      const Json& digest = dependency.at("digest");
      if (dependency.at("name") == "code" && digest.contains("gitCommit")) {
        put(partial / "tags" / "mlflow.source.git.commit", text_of(digest["gitCommit"]));
      }
    }
  }
  copy_files(run.path, describing_files(run.path), partial / "artifacts");
  const std::string end =
      run.writing() ? "null" : std::to_string(milliseconds_of(run.info.updated));
  put(partial / "meta.yaml",
      fmt::format("artifact_uri: {}\nend_time: {}\nentry_point_name: ''\nexperiment_id: '{}'\n"
                  "lifecycle_stage: active\nrun_id: {}\nrun_name: {}\nrun_uuid: {}\n"
                  "source_name: ''\nsource_type: 4\nsource_version: ''\nstart_time: {}\n"
                  "status: {}\ntags: []\nuser_id: unknown\n",
                  yaml_text("file://" + (target / "artifacts").native()), end, id,
                  yaml_text(run_id), yaml_text(run.label), yaml_text(run_id), start_ms,
                  status_of(run.info.state)));
  made.publish();
  return target;
}

}  // namespace reprise::exporting
