#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "repro/cli/commands.h"
#include "repro/report/page.h"

#include <fmt/chrono.h>

#include <chrono>
#include <filesystem>
#include <memory>

namespace reprise::repro {
namespace {
namespace fs = std::filesystem;

struct ReportOptions {
  std::vector<fs::path> runs;
  fs::path output;
  bool verify = false;
};

std::string now() {
  const auto time = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(time));
}

int run(const ReportOptions& options, Io& io) {
  report::PageContent content;
  std::vector<store::RunDirectory> directories;
  for (const fs::path& path : options.runs) {
    content.runs.push_back(report::read_run(path));
    directories.push_back(store::RunDirectory::open(path));
  }
  report::label(content.runs);
  Json runs = Json::array();
  for (const report::RunRecord& one : content.runs) {
    content.health.push_back(report::health_of(one, options.verify, io.jobs));
    const report::Health& health = content.health.back();
    for (const std::string& problem : health.problems) io.warn("{}: {}", one.label, problem);
    runs.push_back({{"path", one.path.native()}, {"problems", health.problems}});
  }
  for (std::size_t i = 1; i < content.runs.size(); ++i) {
    content.comparisons.push_back(report::compare(content.runs, 0, i));
  }
  content.lineage = store::lineage(directories);
  content.made = now();
  write_text(options.output, report::page(content));
  if (io.json) {
    io.print_json({{"path", options.output.native()}, {"runs", std::move(runs)}});
  } else {
    io.print("{}\n", options.output.native());
  }
  return 0;
}

}  // namespace

void add_report(CommandLine& app) {
  auto options = std::make_shared<ReportOptions>();
  Command& command = app.command("report", "Write one HTML page about one or more runs");
  command.about(
      "Summary, curves over samples seen, environment, the lineage of checkpoints, the health of "
      "the ledgers, and how each further run differs from the first. The page needs neither "
      "network nor scripts; it can be mailed, read on a phone and printed. The last line on stdout "
      "is its path.");
  command.positional("RUN", options->runs, "run directories; differences are to the first");
  command.option("-o,--output", options->output, "where to").placeholder("FILE.html").required();
  command.flag("--verify", options->verify,
               "also check every checkpoint's digests, which reads them all");
  command.example("repro report runs/a/20261121-002911 runs/b/20261121-013000 -o report.html");
  command.exit_code(15, "RUN is no run of train");
  command.on_run([options](Io& io) { return run(*options, io); });
}

}  // namespace reprise::repro
