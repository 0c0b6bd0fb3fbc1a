#include "ckpt/base/error.h"
#include "repro/cli/commands.h"
#include "repro/report/gnuplot.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>

namespace reprise::repro {
namespace {
namespace fs = std::filesystem;

struct PlotOptions {
  std::vector<fs::path> runs;
  std::string metric;
  fs::path output;
  std::string x = "samples";
};

report::Axis axis_of(const std::string& name) {
  if (name == "updates") return report::Axis::kUpdates;
  if (name == "epochs") return report::Axis::kEpochs;
  if (name == "hours") return report::Axis::kHours;
  return report::Axis::kSamples;
}

// What --metric could have been.
std::string choices_of(const std::vector<report::RunRecord>& runs) {
  std::set<std::string> names;
  for (const auto& run : runs) {
    for (const std::string& name : report::metric_names(run)) names.insert(name);
    for (const std::string& name : run.train.columns) names.insert("train/" + name);
  }
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + printable(name, 40);
  return out.empty() ? "nothing was measured yet" : "there are " + out;
}

// The metric that was asked for, else the one that decides in the first run that has one.
std::pair<std::string, store::MetricMode> metric_for(const PlotOptions& options,
                                                     const std::vector<report::RunRecord>& runs) {
  if (!options.metric.empty()) return report::metric_of(options.metric);
  for (const report::RunRecord& run : runs) {
    if (const auto major = report::major_metric(run)) return *major;
  }
  return report::metric_of("train/loss");
}

int run(const PlotOptions& options, Io& io) {
  std::vector<report::RunRecord> runs;
  for (const fs::path& path : options.runs) runs.push_back(report::read_run(path));
  report::label(runs);
  const auto [metric, mode] = metric_for(options, runs);
  report::Picture picture;
  picture.title = metric;
  picture.x_title = report::title_of(axis_of(options.x));
  for (const auto& one : runs) {
    for (const std::string& problem : one.problems) io.warn("{}", problem);
    auto curve = report::curve_of(one, metric, mode, axis_of(options.x));
    if (!curve) {
      io.warn("{}: has no {}", one.label, printable(metric));
      continue;
    }
    if (curve->best) {
      curve->label += fmt::format(" (best {:.6g})", curve->best->y);
    }
    picture.curves.push_back(std::move(*curve));
  }
  const bool finite =
      std::ranges::any_of(picture.curves, [](const auto& c) { return c.best.has_value(); });
  if (!finite) {
    fail(Code::kNotFound, "no run has finite values of {}; {}", printable(metric),
         choices_of(runs));
  }
  report::draw(picture, options.output);
  if (io.json) {
    Json curves = Json::array();
    for (const auto& curve : picture.curves) {
      curves.push_back({{"label", curve.label},
                        {"points", curve.points.size()},
                        {"best", curve.best ? Json({{"x", curve.best->x}, {"y", curve.best->y}})
                                            : Json(nullptr)},
                        {"epochs", curve.epochs}});
    }
    io.print_json({{"path", options.output.native()},
                   {"metric", metric},
                   {"mode", store::to_string(mode)},
                   {"x", options.x},
                   {"curves", std::move(curves)}});
  } else {
    io.print("{}\n", options.output.native());
  }
  return 0;
}

}  // namespace

void add_plot(CommandLine& app) {
  auto options = std::make_shared<PlotOptions>();
  Command& command = app.command("plot", "Draw one metric of one or more runs");
  command.about(
      "A PNG or SVG by gnuplot. The x axis is the number of samples seen, so that runs of "
      "different batch size compare fairly; a green dot marks the best value of each run, a red "
      "line the end of each epoch. Prints the path of the picture.");
  command.positional("RUN", options->runs, "run directories");
  command
      .option("--metric", options->metric,
              "a column of valid.tsv, or train/NAME for one of train.tsv; NAME:max or NAME:min "
              "where the name does not tell its direction; otherwise the one that decides which "
              "checkpoint is best")
      .placeholder("M");
  command.option("-o,--output", options->output, "where to: FILE.png or FILE.svg")
      .placeholder("FILE")
      .required();
  command.option("--x", options->x, "the x axis")
      .placeholder("AXIS")
      .choices({"samples", "updates", "epochs", "hours"});
  command.example("repro plot runs/a runs/b --metric val/acc1 -o accuracy.png");
  command.exit_code(15, "RUN is no run of train");
  command.on_run([options](Io& io) { return run(*options, io); });
}

}  // namespace reprise::repro
