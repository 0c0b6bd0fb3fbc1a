#include "repro/export/ro_crate.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/base/new_directory.h"
#include "ckpt/base/sha256.h"
#include "ckpt/base/version.h"
#include "repro/export/run_facts.h"
#include "repro/report/scores.h"

namespace reprise::exporting {
namespace {

namespace fs = std::filesystem;

constexpr const char* kProfile = "https://w3id.org/ro/wfrun/process/0.5";

// "urn:" makes it an absolute URI, as the profile asks; there is no page about the program.
constexpr const char* kProgram = "urn:reprise:train";

// A time as the profile writes it: with its offset in digits.
std::string time_of(std::string text) {
  if (text.ends_with('Z')) text.replace(text.size() - 1, 1, "+00:00");
  return text;
}

Json reference(const std::string& id) { return {{"@id", id}}; }

std::string format_of(const std::string& name) {
  if (name.ends_with(".json")) return "application/json";
  if (name.ends_with(".jsonl")) return "application/jsonl";
  if (name.ends_with(".tsv")) return "text/tab-separated-values";
  if (name.ends_with(".zip")) return "application/zip";
  if (name.ends_with(".toml")) return "application/toml";
  return "text/plain";
}

std::string about(const std::string& name) {
  if (name == "fingerprint.json") return "What the run was made of: in-toto statement";
  if (name == "ledger.jsonl") return "One chained line of digests for each update";
  if (name == "train.tsv") return "Progress of training";
  if (name == "valid.tsv") return "Evaluations while training";
  if (name == "eval.tsv") return "Evaluations of saved checkpoints";
  if (name == "config.toml") return "Effective configuration";
  if (name.starts_with("snapshot")) return "The code that ran";
  return name;
}

Json settings_of(const report::RunRecord& run, Json& graph) {
  Json list = Json::array();
  const Json parameters = parameters_of(run, "configuration");
  for (const auto& [name, value] : parameters.items()) {
    const std::string id = "#setting-" + name;
    list.push_back(reference(id));
    graph.push_back({{"@id", id},
                     {"@type", "PropertyValue"},
                     {"name", name},
                     {"value", value.is_string() ? value : Json(dump_json(value))}});
  }
  return list;
}

Json data_of(const report::RunRecord& run, Json& graph) {
  Json list = Json::array();
  if (!run.fingerprint.is_object()) return list;
  for (const Json& dependency :
       run.fingerprint.at("predicate").at("buildDefinition").at("resolvedDependencies")) {
    const std::string name = dependency.at("name").get<std::string>();
    if (!name.starts_with("data/")) continue;
    const std::string id = "#" + name;
    list.push_back(reference(id));
    graph.push_back({{"@id", id},
                     {"@type", "CreativeWork"},
                     {"name", name.substr(5)},
                     {"identifier", "sha256:" + dependency.at("digest").value("sha256", "")}});
  }
  return list;
}

std::string description_of(const report::RunRecord& run) {
  std::string text =
      fmt::format("A training run of {} updates and {} samples", run.updates(), run.samples_seen());
  for (const report::Score& score : report::best_scores(run, {})) {
    text += fmt::format("; best {} {} at update {}", score.metric, score.value, score.update);
  }
  const fs::path checkpoints = run.path / "checkpoints";
  std::size_t count = 0;
  if (fs::exists(checkpoints)) {
    for (const fs::directory_entry& entry : fs::directory_iterator(checkpoints)) {
      if (entry.is_regular_file()) ++count;
    }
  }
  return text + fmt::format(". Its {} checkpoints are not part of this crate.", count);
}

}  // namespace

void export_ro_crate(const report::RunRecord& run, const CrateOptions& options,
                     const fs::path& target) {
  if (fs::exists(target)) {
    fail(Code::kMismatch, "{}: exists; an RO-Crate is written as a new directory", target.native());
  }
  NewDirectory made(target);
  const fs::path& partial = made.path();
  const std::vector<std::string> names = describing_files(run.path);
  copy_files(run.path, names, partial);

  Json graph = Json::array();
  Json files = Json::array();
  Json entities = Json::array();
  for (const std::string& name : names) {
    files.push_back(reference(name));
    entities.push_back({{"@id", name},
                        {"@type", "File"},
                        {"name", about(name)},
                        {"encodingFormat", format_of(name)},
                        {"contentSize", std::to_string(fs::file_size(partial / name))},
                        {"sha256", sha256_file(partial / name).hex()}});
  }
  const std::string license =
      options.license.starts_with("http") ? options.license : std::string("#license");
  entities.push_back({{"@id", license},
                      {"@type", "CreativeWork"},
                      {"name", options.license.empty() ? "No license was stated" : options.license},
                      {"description", "The conditions under which this crate may be used"}});
  entities.push_back({{"@id", kProfile},
                      {"@type", "CreativeWork"},
                      {"name", "Process Run Crate"},
                      {"version", "0.5"}});
  entities.push_back({{"@id", kProgram},
                      {"@type", "SoftwareApplication"},
                      {"name", "reprise"},
                      {"url", "urn:reprise:train"},
                      {"softwareVersion", std::string(version())}});
  Json action = {{"@id", "#run"},
                 {"@type", "CreateAction"},
                 {"name", "Training of " + run.label},
                 {"description", command_of(run)},
                 {"startTime", time_of(run.info.started)},
                 {"instrument", reference(kProgram)},
                 {"result", files}};
  if (!run.writing()) action["endTime"] = time_of(run.info.updated);
  Json object = data_of(run, entities);
  for (Json& setting : settings_of(run, entities)) object.push_back(std::move(setting));
  if (!object.empty()) action["object"] = std::move(object);
  Json root = {{"@id", "./"},
               {"@type", "Dataset"},
               {"name", run.label},
               {"description", description_of(run)},
               {"datePublished", time_of(run.info.updated)},
               {"license", reference(license)},
               {"conformsTo", reference(kProfile)},
               {"identifier", "urn:uuid:" + run.info.run.text()},
               {"hasPart", files},
               {"mentions", reference("#run")}};
  if (!options.author.empty()) {
    root["author"] = reference("#author");
    action["agent"] = reference("#author");
    entities.push_back({{"@id", "#author"}, {"@type", "Person"}, {"name", options.author}});
  }
  graph.push_back({{"@id", "ro-crate-metadata.json"},
                   {"@type", "CreativeWork"},
                   {"about", reference("./")},
                   {"conformsTo", reference("https://w3id.org/ro/crate/1.1")}});
  graph.push_back(std::move(root));
  graph.push_back(std::move(action));
  for (Json& entity : entities) graph.push_back(std::move(entity));
  const Json document = {
      {"@context", Json::array({"https://w3id.org/ro/crate/1.1/context",
                                {{"sha256", "https://w3id.org/ro/terms/workflow-run#sha256"}}})},
      {"@graph", std::move(graph)}};
  write_text(partial / "ro-crate-metadata.json", dump_json(document, 2) + "\n");
  made.publish();
}

}  // namespace reprise::exporting
