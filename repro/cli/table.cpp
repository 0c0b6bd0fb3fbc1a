#include "ckpt/base/error.h"
#include "repro/cli/commands.h"
#include "repro/report/scores.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>

namespace reprise::repro {
namespace {
namespace fs = std::filesystem;

struct TableOptions {
  std::vector<fs::path> roots;
  std::vector<std::string> metrics;
  std::string sort;
  int depth = 3;
};

struct Line {
  report::RunRecord run;
  std::vector<report::Score> scores;
};

std::vector<Line> lines_of(const TableOptions& options, Io& io) {
  std::vector<report::RunRecord> runs;
  for (const fs::path& root : options.roots) {
    std::error_code failure;
    if (!fs::is_directory(root, failure)) {
      fail(Code::kNotFound, "{}: no directory of that name", printable(root.native()));
    }
    for (const auto& found : store::RunDirectory::find_all(root, options.depth)) {
      const bool known = std::ranges::any_of(
          runs, [&](const auto& run) { return fs::equivalent(run.path, found.path(), failure); });
      if (known) continue;
      runs.push_back(report::read_run(found.path()));
      for (const std::string& problem : runs.back().problems) io.warn("{}", problem);
    }
  }
  report::label(runs);
  std::vector<Line> lines;
  for (report::RunRecord& run : runs) {
    auto scores = report::best_scores(run, options.metrics);
    lines.push_back({std::move(run), std::move(scores)});
  }
  return lines;
}

// Best first; runs without the metric last.
void sort(std::vector<Line>& lines, const std::string& metric) {
  const auto wanted = report::metric_of(metric);
  const std::string& name = wanted.first;
  const store::MetricMode mode = wanted.second;
  const auto value_of = [&](const Line& line) -> std::optional<double> {
    const auto at = std::ranges::find(line.scores, name, &report::Score::metric);
    if (at == line.scores.end()) return std::nullopt;
    return mode == store::MetricMode::kMax ? -at->value : at->value;
  };
  std::ranges::stable_sort(lines, [&](const Line& a, const Line& b) {
    const auto x = value_of(a);
    const auto y = value_of(b);
    return x && y ? *x < *y : x.has_value() && !y;
  });
}

void print(const std::vector<Line>& lines, const std::vector<report::Spread>& spreads, Io& io) {
  // The best of each column stands out.
  std::map<std::string, double> best;
  for (const Line& line : lines) {
    for (const report::Score& score : line.scores) {
      const auto [at, is_new] = best.emplace(score.metric, score.value);
      at->second = is_new                                  ? score.value
                   : score.mode == store::MetricMode::kMax ? std::max(at->second, score.value)
                                                           : std::min(at->second, score.value);
    }
  }
  struct Cell {
    std::string text;
    bool strong = false;
  };
  std::vector<std::vector<Cell>> rows(1);
  rows[0].push_back({"run"});
  for (const auto& one : spreads) rows[0].push_back({printable(one.metric, 40)});
  for (const char* name : {"updates", "epochs", "samples", "state"}) rows[0].push_back({name});
  for (const Line& line : lines) {
    std::vector<Cell> row = {{line.run.label + (line.run.writing() ? "*" : "")}};
    for (const auto& one : spreads) {
      const auto at = std::ranges::find(line.scores, one.metric, &report::Score::metric);
      if (at == line.scores.end()) {
        row.push_back({"-"});
      } else {
        row.push_back({fmt::format("{:.6g}", at->value),
                       lines.size() > 1 && at->value == best.at(one.metric)});
      }
    }
    row.push_back({std::to_string(line.run.updates())});
    row.push_back({std::to_string(line.run.epochs())});
    row.push_back({std::to_string(line.run.samples_seen())});
    row.push_back({std::string(store::to_string(line.run.info.state))});
    rows.push_back(std::move(row));
  }
  if (lines.size() > 1) {
    std::vector<Cell> row = {{"mean +- std"}};
    for (const auto& one : spreads) {
      row.push_back({fmt::format("{:.6g} +- {:.2g}", one.mean, one.deviation)});
    }
    rows.push_back(std::move(row));
  }
  std::vector<std::size_t> widths(rows[0].size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], row[i].text.size());
  }
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const bool left = i == 0 || i + 1 == rows[0].size();
      const std::string padding(widths[i] - row[i].text.size(), ' ');
      const std::string text =
          row[i].strong || &row == &rows[0] ? io.bold(row[i].text) : row[i].text;
      line += (i > 0 ? "  " : "") + (left ? text + padding : padding + text);
    }
    while (line.ends_with(' ')) line.pop_back();
    io.print("{}\n", line);
  }
}

int run(const TableOptions& options, Io& io) {
  std::vector<Line> lines = lines_of(options, io);
  if (!options.sort.empty()) sort(lines, options.sort);
  std::vector<std::vector<report::Score>> scores;
  for (const Line& line : lines) scores.push_back(line.scores);
  const std::vector<report::Spread> spreads = report::spread(scores);
  if (io.json) {
    Json runs = Json::array();
    for (const Line& line : lines) {
      runs.push_back({{"path", line.run.path.native()},
                      {"state", store::to_string(line.run.info.state)},
                      {"writing", line.run.writing()},
                      {"updates", line.run.updates()},
                      {"epochs", line.run.epochs()},
                      {"samples_seen", line.run.samples_seen()},
                      {"best", report::to_json(line.scores)}});
    }
    Json summary = Json::object();
    for (const auto& one : spreads) {
      summary[one.metric] = {{"runs", one.runs}, {"mean", one.mean}, {"std", one.deviation}};
    }
    io.print_json({{"runs", std::move(runs)}, {"summary", std::move(summary)}});
  } else if (lines.empty()) {
    io.say("no runs found");
  } else {
    print(lines, spreads, io);
    if (std::ranges::any_of(lines, [](const Line& line) { return line.run.writing(); })) {
      io.say("* still writing");
    }
  }
  return 0;
}

}  // namespace

void add_table(CommandLine& app) {
  auto options = std::make_shared<TableOptions>();
  Command& command = app.command("table", "List the best scores of many runs");
  command.about(
      "One row a run: the best value of each metric over all evaluations (the largest accuracy, "
      "the "
      "smallest loss), and how far the run went. A run that is still writing has a * behind its "
      "name. The last row is mean and standard deviation over the runs.");
  command.positional("ROOT", options->roots, "run directories, or folders that hold some");
  command
      .option("--metric", options->metrics,
              "only this metric (repeat for more); NAME:max or "
              "NAME:min where the name does not tell its direction")
      .placeholder("M");
  command.option("--sort", options->sort, "best run of this metric first").placeholder("M");
  command.option("--depth", options->depth, "how many folders below ROOT to look into")
      .placeholder("N");
  command.example("repro table runs --metric val/acc1 --sort val/acc1");
  command.on_run([options](Io& io) { return run(*options, io); });
}

}  // namespace reprise::repro
