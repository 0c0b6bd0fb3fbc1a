#include "ckpt/base/error.h"
#include "ckpt/base/json.h"
#include "repro/cli/commands.h"
#include "repro/export/mlflow.h"
#include "repro/export/ro_crate.h"

#include <filesystem>
#include <memory>

namespace reprise::repro {
namespace {
namespace fs = std::filesystem;

struct ExportOptions {
  std::vector<fs::path> runs;
  fs::path mlflow, crate;
  std::string experiment = "reprise";
  exporting::CrateOptions crate_options;
};

int run(const ExportOptions& options, Io& io) {
  if (options.mlflow.empty() == options.crate.empty()) {
    fail(Code::kUsage, "give one of --mlflow DIR and --ro-crate DIR");
  }
  if (!options.crate.empty() && options.runs.size() > 1) {
    fail(Code::kUsage, "--ro-crate: one run is one crate; {} were given", options.runs.size());
  }
  std::vector<report::RunRecord> runs;
  for (const fs::path& path : options.runs) {
    runs.push_back(report::read_run(path));
    for (const std::string& problem : runs.back().problems) io.warn("{}", problem);
  }
  report::label(runs);
  Json written = Json::array();
  for (const report::RunRecord& record : runs) {
    fs::path place = options.crate;
    if (options.crate.empty()) {
      place = exporting::export_mlflow(record, options.experiment, options.mlflow);
    } else {
      exporting::export_ro_crate(record, options.crate_options, options.crate);
    }
    written.push_back({{"run", record.path.native()}, {"written", place.native()}});
    if (!io.json) io.print("{}\n", place.native());
  }
  if (io.json) io.print_json({{"exported", written}});
  return 0;
}

}  // namespace

void add_export(CommandLine& app) {
  auto options = std::make_shared<ExportOptions>();
  Command& command = app.command("export", "Write runs in the layout of another tool");
  command.about(
      "With --mlflow, an MLflow tracking directory: mlflow ui --backend-store-uri DIR shows it "
      "(MLflow 3 wants MLFLOW_ALLOW_FILE_STORE=true), mlflow migrate-filestore takes it over. With "
      "--ro-crate, one run as an RO-Crate 1.1. Checkpoints are not copied.");
  command.positional("RUN", options->runs, "run directories");
  command.option("--mlflow", options->mlflow, "add the runs to this tracking directory")
      .placeholder("DIR");
  command.option("--experiment", options->experiment, "MLflow's experiment").placeholder("NAME");
  command.option("--ro-crate", options->crate, "directory to make").placeholder("DIR");
  command.option("--license", options->crate_options.license, "of the crate: a URL, or words")
      .placeholder("TEXT");
  command.option("--author", options->crate_options.author, "who made the run, for the crate")
      .placeholder("NAME");
  command.example("repro export runs/a runs/b --mlflow mlruns", "two runs for MLflow");
  command.exit_code(15, "the directory, or this run in it, is there already");
  command.on_run([options](Io& io) { return run(*options, io); });
}

}  // namespace reprise::repro
