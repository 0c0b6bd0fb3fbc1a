#include "ckpt/base/error.h"
#include "ckpt/base/json.h"
#include "ckpt/base/progress.h"
#include "ckpt/cli/commands.h"
#include "ckpt/cli/table.h"
#include "ckpt/store/retention.h"

#include <memory>
#include <set>

namespace reprise::cli {
namespace {

struct CleanOptions {
  std::vector<std::filesystem::path> runs;
  store::RetentionPolicy policy;
  std::optional<std::uint64_t> younger_than_hours;
  std::vector<std::filesystem::path> references;
  bool dry_run = false;
};

void add_json(Json& list, const std::vector<store::RetentionPlan::Item>& items) {
  for (const auto& item : items) {
    list.push_back(
        {{"path", item.entry.path.native()}, {"reason", item.reason}, {"bytes", item.bytes}});
  }
}

int run(CleanOptions options, Io& io) {
  store::RetentionPolicy& policy = options.policy;
  if (options.younger_than_hours)
    policy.younger_than = std::chrono::hours(*options.younger_than_hours);
  if (!policy.keeps_something() && !policy.drop_optimizer) {
    fail(Code::kUsage,
         "say what to keep: --keep-best, --keep-last N, --keep-top N, --every K or --younger-than "
         "HOURS");
  }
  if (policy.every && *policy.every == 0) fail(Code::kUsage, "--every is at least 1");

  std::vector<store::RunDirectory> references;
  for (const auto& root : options.references) {
    for (auto& found : store::RunDirectory::find_all(root)) references.push_back(std::move(found));
  }
  std::vector<store::RetentionPlan> plans;
  std::vector<store::RunLock> locks;  // until the end: nobody starts to write meanwhile
  std::set<std::filesystem::path> seen;
  for (const auto& path : options.runs) {
    const store::RunDirectory run = store::RunDirectory::open_to_remove(path);
    if (!seen.insert(std::filesystem::canonical(path)).second) continue;
    if (!options.dry_run) locks.push_back(run.hold());
    plans.push_back(store::plan_retention(run, policy, references));
  }
  for (const auto& plan : plans) {
    for (const store::Unseen& unseen : plan.unseen) {
      io.warn("{} cannot be looked into, and what is in it may refer to any of these files: {}",
              printable(unseen.folder.native(), 4096), unseen.why);
    }
    if (!plan.unseen.empty()) {
      io.say("nothing is removed from that run; have whoever may read the rest clean it");
    }
  }
  // All plans are made before anything is removed: they were made of one state.
  std::uint64_t bytes = 0;
  for (const auto& plan : plans) bytes += options.dry_run ? plan.bytes() : store::execute(plan);

  if (io.json) {
    Json removed = Json::array(), kept = Json::array(), reduced = Json::array();
    for (const auto& plan : plans) {
      add_json(removed, plan.removed);
      add_json(kept, plan.kept);
      add_json(reduced, plan.reduced);
    }
    io.print_json({{"removed", std::move(removed)},
                   {"kept", std::move(kept)},
                   {"reduced", std::move(reduced)},
                   {"bytes", bytes},
                   {"dry_run", options.dry_run}});
    return 0;
  }
  Table table({{""}, {"checkpoint"}, {"frees", Table::Align::kRight}, {"because"}});
  const auto add = [&](const std::string& what,
                       const std::vector<store::RetentionPlan::Item>& items) {
    for (const auto& item : items) {
      table.add({what, printable(item.entry.path.native(), 300),
                 item.bytes > 0 ? format_bytes(item.bytes) : "", printable(item.reason, 300)});
    }
  };
  for (const auto& plan : plans) {
    add(options.dry_run ? "would remove" : "removed", plan.removed);
    add(options.dry_run ? "would reduce" : "reduced", plan.reduced);
    add("kept", plan.kept);
  }
  table.print(io);
  io.print("{} {}\n", format_bytes(bytes), options.dry_run ? "would be freed" : "freed");
  return 0;
}

}  // namespace

void add_clean(CommandLine& app) {
  auto options = std::make_shared<CleanOptions>();
  Command& command = app.command("clean", "Remove old checkpoints of runs");
  command.about(
      "A checkpoint stays when any rule keeps it. Whatever the rules say, these stay: a file that "
      "another one names as its backbone or parent, the rolling save, files that cannot be read, "
      "files that do not carry the name of a save, and the newest state.");
  command.positional("RUN", options->runs, "run directories");
  command.flag("--keep-best", options->policy.keep_best, "keep the best by the major metric");
  command.option("--keep-last", options->policy.keep_last, "keep the newest N");
  command.option("--keep-top", options->policy.keep_top, "keep the best N");
  command.option("--every", options->policy.every, "keep the end of every K-th epoch")
      .placeholder("K");
  command
      .option("--save-begin", options->policy.begin_epoch, "with --every: counted from this epoch")
      .placeholder("EPOCH");
  command.option("--save-end", options->policy.end_epoch, "with --every: to this epoch, inclusive")
      .placeholder("EPOCH");
  command
      .option("--younger-than", options->younger_than_hours,
              "keep what was written in the last HOURS")
      .placeholder("HOURS");
  command.flag(
      "--drop-optimizer", options->policy.drop_optimizer,
      "rewrite what stays, but the newest, without optimizer: it can be loaded, not resumed");
  command
      .option("--references", options->references,
              "also spare what runs below ROOT refer to (given once or more)")
      .placeholder("ROOT");
  command.flag("--dry-run", options->dry_run, "only say what would go, and the bytes it frees");
  command.example("ckpt clean runs/road/* --keep-best --keep-last 2 --dry-run",
                  "what would go of all runs named road");
  command.exit_code(15, "mismatch: a folder is no run, or is being written");
  command.on_run([options](Io& io) { return run(*options, io); });
}

}  // namespace reprise::cli
