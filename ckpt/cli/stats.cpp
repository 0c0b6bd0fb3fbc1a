#include "ckpt/base/error.h"
#include "ckpt/base/json.h"
#include "ckpt/base/parallel.h"
#include "ckpt/base/progress.h"
#include "ckpt/cli/commands.h"
#include "ckpt/cli/elements.h"
#include "ckpt/cli/plot.h"
#include "ckpt/cli/table.h"
#include "ckpt/container/tensor_names.h"
#include "ckpt/store/load.h"

#include <algorithm>
#include <cmath>
#include <memory>

namespace reprise::cli {
namespace {

struct StatsOptions {
  std::string checkpoint;
  std::filesystem::path plot;
};

// Of the finite numbers in one tensor; complex numbers count as two.
struct Summary {
  std::uint64_t finite = 0;
  std::uint64_t nan = 0;
  std::uint64_t inf = 0;
  double min = 0;
  double max = 0;
  double mean = 0;
  double squares = 0;  // sum of squared deviations from the mean

  double deviation() const {
    return finite > 0 ? std::sqrt(squares / static_cast<double>(finite)) : 0;
  }

  // Chan, Golub and LeVeque (1983): joins two summaries without cancellation.
  void join(const Summary& other) {
    nan += other.nan;
    inf += other.inf;
    if (other.finite == 0) return;
    min = finite == 0 ? other.min : std::min(min, other.min);
    max = finite == 0 ? other.max : std::max(max, other.max);
    const auto n = static_cast<double>(finite);
    const auto m = static_cast<double>(other.finite);
    const double delta = other.mean - mean;
    mean += delta * m / (n + m);
    squares += other.squares + delta * delta * n * m / (n + m);
    finite += other.finite;
  }
};

Summary summarize_piece(const std::vector<double>& numbers) {
  Summary summary;
  double sum = 0;
  for (const double number : numbers) {
    if (std::isnan(number)) {
      ++summary.nan;
    } else if (std::isinf(number)) {
      ++summary.inf;
    } else {
      summary.min = summary.finite == 0 ? number : std::min(summary.min, number);
      summary.max = summary.finite == 0 ? number : std::max(summary.max, number);
      ++summary.finite;
      sum += number;
    }
  }
  if (summary.finite == 0) return summary;
  summary.mean = sum / static_cast<double>(summary.finite);
  for (const double number : numbers) {
    if (std::isfinite(number)) summary.squares += (number - summary.mean) * (number - summary.mean);
  }
  return summary;
}

Summary summarize(const Tensor& tensor) {
  Summary summary;
  std::vector<double> numbers;
  // Pieces of a fixed size, joined in order: the result does not depend on threads.
  tensor.for_each_chunk(1u << 20, [&](Bytes piece) {
    to_doubles(tensor.dtype(), piece, numbers);
    summary.join(summarize_piece(numbers));
  });
  return summary;
}

std::string text(const Summary& summary, double value) {
  return summary.finite == 0 ? "-" : fmt::format("{:.4g}", value);
}

Json number(const Summary& summary, double value) {
  return summary.finite == 0 ? Json(nullptr) : Json(value);
}

void plot(const std::filesystem::path& file, const std::string& title,
          const std::vector<container::NamedTensor>& tensors,
          const std::vector<Summary>& summaries) {
  std::vector<RangePoint> points;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Summary& s = summaries[i];
    // The optimizer's numbers have scales of their own, and step counters would dwarf all.
    const bool weight = !tensors[i].name.starts_with("optimizer/");
    if (s.finite > 0 && weight)
      points.push_back({tensors[i].name, s.min, s.max, s.mean, s.deviation()});
  }
  if (points.empty())
    fail(Code::kMismatch, "no tensor holds a finite number: there is nothing to plot");
  plot_ranges(file, title, points);
}

int run(const StatsOptions& options, Io& io) {
  if (!options.plot.empty() && options.plot.extension() != ".png") {
    fail(Code::kUsage, "--plot {}: a file name that ends in .png was expected",
         options.plot.native());
  }
  const store::LoadedCheckpoint loaded =
      store::open_checkpoint(options.checkpoint, {.verify = true, .jobs = io.jobs});
  const auto tensors = container::name_tensors(loaded.checkpoint.to_document());
  std::vector<Summary> summaries(tensors.size());
  {
    Progress progress("stats", tensors.size(), ProgressUnit::kItems, io.progress());
    parallel_for(tensors.size(), io.jobs, [&](std::size_t i) {
      summaries[i] = summarize(tensors[i].tensor);
      progress.add(1);
    });
  }
  if (!options.plot.empty()) {
    plot(options.plot, loaded.path.filename().native(), tensors, summaries);
    io.say("{}", options.plot.native());
  }
  if (io.json) {
    Json list = Json::array();
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const Summary& s = summaries[i];
      list.push_back({{"name", tensors[i].name},
                      {"dtype", name(tensors[i].tensor.dtype())},
                      {"shape", tensors[i].tensor.shape()},
                      {"min", number(s, s.min)},
                      {"max", number(s, s.max)},
                      {"mean", number(s, s.mean)},
                      {"std", number(s, s.deviation())},
                      {"nan", s.nan},
                      {"inf", s.inf}});
    }
    io.print_json({{"tensors", std::move(list)}});
    return 0;
  }
  using Align = Table::Align;
  Table table({{"tensor"},
               {"dtype"},
               {"shape"},
               {"min", Align::kRight},
               {"max", Align::kRight},
               {"mean", Align::kRight},
               {"std", Align::kRight},
               {"NaN", Align::kRight},
               {"inf", Align::kRight}});
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Summary& s = summaries[i];
    const auto alarm = [&](std::uint64_t count) { return count > 0 ? format_count(count) : "0"; };
    table.add({printable(tensors[i].name), std::string(name(tensors[i].tensor.dtype())),
               format_shape(tensors[i].tensor.shape()), text(s, s.min), text(s, s.max),
               text(s, s.mean), text(s, s.deviation()), alarm(s.nan), alarm(s.inf)});
  }
  table.print(io);
  return 0;
}

}  // namespace

void add_stats(CommandLine& app) {
  auto options = std::make_shared<StatsOptions>();
  Command& command = app.command("stats", "Minimum, maximum, mean and deviation of each tensor");
  command.about(
      "All numbers are of the finite values, in float64; std divides by their count. NaN and "
      "infinite values are counted beside them. Complex values count as two numbers.");
  command.positional("CKPT", options->checkpoint, "file, or reference such as runs/a/<best>");
  command.option("--plot", options->plot, "also draw the ranges of the weights (needs gnuplot)")
      .placeholder("FILE.png");
  command.example("ckpt stats model.h5 --plot ranges.png", "finds exploding weights at a glance");
  command.exit_code(14, "incomplete: the writer never committed");
  command.on_run([options](Io& io) { return run(*options, io); });
}

}  // namespace reprise::cli
