// Runs as an MLflow tracking directory (mlflow.org, "file store"): what `mlflow ui
// --backend-store-uri DIR` shows, and `mlflow migrate-filestore` takes over into a database.
#pragma once

#include "repro/report/run_record.h"

#include <filesystem>
#include <string>

namespace reprise::exporting {

// Writes one run: settings and seeds as parameters, the rows of train.tsv and valid.tsv as metrics
// at their updates, commit and command as tags, the files that describe the run as artifacts.
// Times of metrics are the start plus the seconds that updates took. The run appears whole; runs
// that are there already stay. Returns its directory.
// Errors: kMismatch when this run is there already; kIo.
std::filesystem::path export_mlflow(const report::RunRecord& run, const std::string& experiment,
                                    const std::filesystem::path& root);

}  // namespace reprise::exporting
