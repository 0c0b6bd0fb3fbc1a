#include "ckpt/base/error.h"
#include "ckpt/base/json.h"
#include "ckpt/base/progress.h"
#include "ckpt/cli/commands.h"
#include "ckpt/cli/table.h"
#include "ckpt/store/reference.h"
#include "ckpt/store/run_directory.h"

#include <algorithm>
#include <memory>

namespace reprise::cli {
namespace {

struct RunsOptions {
  std::filesystem::path root = ".";
  unsigned depth = 3;
};

constexpr unsigned kDeepest = 100;  // no file system that people use has more levels

struct RunRow {
  std::filesystem::path path;
  store::RunInfo info;
  std::size_t checkpoints = 0;
  std::optional<store::CheckpointEntry> last;
  std::optional<store::BestCheckpoint> best;
  std::uint64_t bytes = 0;
};

RunRow describe(const store::RunDirectory& run) {
  RunRow row;
  row.path = run.path();
  row.info = run.info();
  const std::vector<store::CheckpointEntry> entries = run.list();
  row.checkpoints = entries.size();
  for (const store::CheckpointEntry& entry : entries) {
    if (!entry.problem) row.last = entry;
  }
  row.best = store::find_best(entries);
  row.bytes = run.size_bytes();
  return row;
}

Json to_json(const RunRow& row) {
  Json best = nullptr;
  if (row.best) {
    best = {{"path", row.best->entry.path.native()},
            {"epoch", row.best->entry.epoch},
            {"metric", row.best->metric},
            {"value", row.best->value}};
  }
  Json last = nullptr;
  if (row.last)
    last = {{"path", row.last->path.native()},
            {"epoch", row.last->epoch},
            {"uuid", row.last->uuid.text()}};
  return {{"path", row.path.native()},
          {"run", row.info.run.is_nil() ? Json(nullptr) : Json(row.info.run.text())},
          {"state", to_string(row.info.state)},
          {"reason", row.info.reason.empty() ? Json(nullptr) : Json(row.info.reason)},
          {"started", row.info.started.empty() ? Json(nullptr) : Json(row.info.started)},
          {"epochs", row.last ? Json(row.last->epoch) : Json(nullptr)},
          {"checkpoints", row.checkpoints},
          {"best", std::move(best)},
          {"last", std::move(last)},
          {"bytes", row.bytes}};
}

// The star marks a run that is still being written.
std::string state_text(const store::RunInfo& info) {
  constexpr std::size_t kReasonShown = 60;
  std::string text(to_string(info.state));
  if (info.state == store::RunState::kRunning) text += " *";
  if (!info.reason.empty()) text += ": " + printable(info.reason, kReasonShown);
  return text;
}

int run(const RunsOptions& options, Io& io) {
  std::error_code failure;
  if (!std::filesystem::exists(options.root, failure)) {
    fail(Code::kNotFound, "{}: no such directory", options.root.native());
  }
  if (!std::filesystem::is_directory(options.root, failure)) {
    fail(Code::kUsage, "{}: is a file, a directory was expected", options.root.native());
  }
  std::vector<RunRow> rows;
  for (const store::RunDirectory& found : store::RunDirectory::find_all(
           options.root, static_cast<int>(std::min(options.depth, kDeepest)))) {
    try {
      rows.push_back(describe(found));
    } catch (const Error& error) {
      io.warn("{}", error.what());
    }
  }
  if (io.json) {
    Json list = Json::array();
    for (const RunRow& row : rows) list.push_back(to_json(row));
    io.print_json({{"runs", std::move(list)}});
    return 0;
  }
  using Align = Table::Align;
  Table table({{"run"},
               {"state"},
               {"epochs", Align::kRight},
               {"saves", Align::kRight},
               {"best"},
               {"last"},
               {"size", Align::kRight}});
  for (const RunRow& row : rows) {
    table.add({printable(row.path.native(), 100), state_text(row.info),
               row.last ? std::to_string(row.last->epoch) : "-", std::to_string(row.checkpoints),
               row.best ? fmt::format("{} {:.6g} ep{}", printable(row.best->metric, 30),
                                      row.best->value, row.best->entry.epoch)
                        : "-",
               row.last ? row.last->uuid.text().substr(0, 8) : "-", format_bytes(row.bytes)});
  }
  table.print(io);
  if (rows.empty()) io.say("no runs at or below {}", options.root.native());
  return 0;
}

}  // namespace

void add_runs(CommandLine& app) {
  auto options = std::make_shared<RunsOptions>();
  Command& command = app.command("runs", "List runs: epochs, best, last, size, state");
  command.about(
      "A run that is being written is marked with a star; one whose process died is interrupted; "
      "one that failed says why, in full with --json.");
  command.positional("ROOT", options->root, "where to look; the current folder otherwise")
      .optional();
  command.option("--depth", options->depth, "levels below ROOT to look into");
  command.example("ckpt runs runs", "one row for each run below runs/");
  command.on_run([options](Io& io) { return run(*options, io); });
}

}  // namespace reprise::cli
