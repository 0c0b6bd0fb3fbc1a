#include "migrate/cli/run.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/base/parallel.h"
#include "ckpt/base/progress.h"
#include "migrate/cli/migrate_file.h"
#include "migrate/cli/report.h"
#include "migrate/cli/swap.h"
#include "migrate/steps/upgrade.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <set>

namespace reprise::migrate {
namespace fs = std::filesystem;

namespace {

// Files that are migrated side by side, by size. Small ones wait for the disk to flush, not for
// a core: many threads let the file system gather their flushes. Large ones use all cores each.
struct SizeClass {
  std::uint64_t below_bytes;
  unsigned at_once;
};
constexpr SizeClass kTiny{1u << 20, 32}, kSmall{64u << 20, 8};

std::uint64_t size_of(const fs::path& path) {
  std::error_code ignored;
  const auto size = fs::file_size(path, ignored);
  return ignored ? 0 : size;
}

void check_options(const MigrateOptions& options) {
  if (!options.dialect.empty()) {
    const auto names = dialect_names();
    if (std::ranges::find(names, options.dialect) == names.end()) {
      fail(Code::kUsage, "--dialect {}: there are {}", printable(options.dialect, 40),
           fmt::join(names, ", "));
    }
  }
  for (const fs::path& report : options.reports) {
    if (report.extension() != ".json" && report.extension() != ".html") {
      fail(Code::kUsage, "--report {}: .json or .html was expected", report.native());
    }
  }
}

void print_file(Io& io, const FileReport& report, bool plan) {
  const std::string source = printable(report.source.native(), 400);
  if (!report.ok) {
    io.print("{}  {}\n", io.red("failed "), printable(report.error, 2000));
    return;
  }
  if (!report.skipped.empty()) {
    io.print("{}  {}: {}\n", io.yellow("skipped"), source, report.skipped);
    return;
  }
  const std::string from =
      report.dialect ? *report.dialect : fmt::format("v{}", report.schema.value_or(0));
  const std::string_view word = report.already_done ? "done   " : plan ? "would  " : "ok     ";
  io.print("{}  {} ({}, {}) -> {}\n", io.green(word), source, from, report.container,
           printable(report.target.native(), 400));
  if (!plan && !io.verbose) return;
  for (const StepReport& step : report.steps) {
    io.print("         {}\n", step.step);
    for (const std::string& change : step.changed)
      io.print("           {}\n", printable(change, 400));
  }
}

std::vector<FileReport> run_batch(const MigrateOptions& options, const std::vector<Item>& items,
                                  Io& io) {
  std::uint64_t total = 0;
  std::vector<std::uint64_t> sizes(items.size());  // now: a swap takes the sources away
  std::vector<std::size_t> tiny, small, large;
  for (std::size_t i = 0; i < items.size(); ++i) {
    sizes[i] = size_of(items[i].source);
    total += sizes[i];
    (sizes[i] < kTiny.below_bytes    ? tiny
     : sizes[i] < kSmall.below_bytes ? small
                                     : large)
        .push_back(i);
  }
  if (!options.plan) {
    std::set<fs::path> directories;
    for (const Item& item : items) directories.insert(item.target.parent_path());
    for (const fs::path& directory : directories)
      remove_abandoned_results(directory.empty() ? "." : directory);
  }
  Progress progress(options.plan ? "reading" : "migrating", total, ProgressUnit::kBytes,
                    io.progress());
  std::vector<FileReport> reports(items.size());
  GroupSync syncs;
  const auto migrate = [&](std::size_t i, unsigned jobs) {
    FileOptions file;
    file.plan = options.plan;
    file.jobs = jobs;
    file.dialect = options.dialect;
    file.arch = options.arch;
    file.arch_head = options.arch_head;
    // Each byte is written once and read back once. What else there is to a file comes at its end.
    std::atomic<std::uint64_t> passed{0};
    const auto share = [&](std::uint64_t bytes) { return std::min(bytes / 2, sizes[i]); };
    file.on_bytes = [&](std::uint64_t bytes) {
      const std::uint64_t before = passed.fetch_add(bytes, std::memory_order_relaxed);
      progress.add(share(before + bytes) - share(before));
    };
    reports[i] = migrate_file(items[i], file, syncs);
    progress.add(sizes[i] - share(passed));
  };
  const auto migrate_class = [&](const std::vector<std::size_t>& files, const SizeClass& size) {
    const unsigned at_once = io.jobs != 0 ? io.jobs : std::max(size.at_once, available_cores());
    parallel_for(files.size(), at_once, [&](std::size_t n) { migrate(files[n], 1); });
  };
  migrate_class(tiny, kTiny);
  migrate_class(small, kSmall);
  for (const std::size_t i : large) migrate(i, io.jobs);
  return reports;
}

}  // namespace

int run(const MigrateOptions& options, Io& io) {
  check_options(options);
  const std::vector<Item> items = plan_batch(options);
  // Before the work: a report that could not be written after it would be lost.
  for (const fs::path& file : options.reports) make_directories(file.parent_path());
  const std::vector<FileReport> reports = run_batch(options, items, io);
  if (io.json) {
    io.print_json(report_json(reports, options.plan));
  } else {
    for (const FileReport& report : reports) print_file(io, report, options.plan);
  }
  for (const fs::path& file : options.reports) write_report(file, reports, options.plan);
  const auto failed = std::ranges::count(reports, false, &FileReport::ok);
  if (failed > 0) {
    const std::string_view rest =
        options.plan                                         ? "nothing was written"
        : static_cast<std::size_t>(failed) == reports.size() ? "the sources are untouched"
        : options.replace ? "their originals are in place, or in the backup"
                          : "the others are done, and the sources are untouched";
    io.say("{} of {} files failed; {}", failed, reports.size(), rest);
  }
  return failed > 0 ? static_cast<int>(Code::kNo) : 0;
}

}  // namespace reprise::migrate
