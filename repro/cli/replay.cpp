#include "repro/audit/replay.h"
#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/base/json.h"
#include "ckpt/base/progress.h"
#include "ckpt/base/uuid.h"
#include "ckpt/store/reference.h"
#include "repro/cli/commands.h"
#include "repro/cli/interruption.h"

#include <memory>
#include <optional>

namespace reprise::repro {
namespace {
namespace fs = std::filesystem;

struct ReplayCommand {
  fs::path run;
  std::string from;
  std::optional<std::uint64_t> updates;
  fs::path train;
  fs::path output;
};

// The training binary that was installed or built with this one.
fs::path train_beside_us() {
  const fs::path folder = fs::read_symlink("/proc/self/exe").parent_path();
  for (const char* name : {"train", "reprise-train"}) {
    if (fs::exists(folder / name)) return folder / name;
  }
  fail(Code::kNotFound, "{}: holds no train binary; name it with --train", folder.native());
}

// Removes what a replay wrote, however it ends.
struct Scratch {
  fs::path path = fs::temp_directory_path() / ("reprise-replay-" + Uuid::random().text());
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
    fs::remove(path.string() + ".log", ignored);
  }
};

void print(const audit::ReplayResult& result, Io& io) {
  if (result.same) {
    io.print("{}\n",
             io.green(fmt::format("updates {} to {}: the same, every line of {}",
                                  result.first_update, result.last_update, result.compared)));
    return;
  }
  io.print("{}\n",
           io.red(fmt::format(
               "update {}: {} differ{}; {} updates before it are the same",
               result.divergence->a.update, audit::to_string(result.divergence->what),
               result.divergence->what == audit::Part::kParameters ? "" : "s", result.compared)));
  io.say(
      "an edited ledger, other code or data, an op without a fixed order, or a hardware error: "
      "repro diff compares "
      "the fingerprints");
}

// A file, or a reference within the run.
fs::path checkpoint_of(const ReplayCommand& command) {
  std::error_code ignored;
  if (fs::is_regular_file(command.from, ignored)) return command.from;
  const fs::path in_run = command.run / command.from;
  if (!command.from.starts_with('<') && fs::is_directory(command.run, ignored) &&
      !fs::exists(in_run, ignored)) {
    fail(Code::kNotFound,
         "--from: no file '{}'; a reference stands in brackets: '<{}>', '<last>~1'",
         printable(command.from), printable(command.from));
  }
  return store::resolve(in_run.native());
}

audit::ReplayResult replay(audit::ReplayOptions options, std::optional<std::uint64_t> updates,
                           Io& io) {
  Progress progress("replaying", updates.value_or(0), ProgressUnit::kItems, io.progress());
  options.on_update = [&](std::uint64_t n) { progress.add(n); };
  const Interruption interruption;
  options.on_wait = [&] { interruption.check(); };
  return audit::replay(options);
}

int run(const ReplayCommand& command, Io& io) try {
  if (command.updates == 0u) fail(Code::kUsage, "--updates: at least 1");
  const Scratch scratch;
  audit::ReplayOptions options;
  options.run = command.run;
  options.checkpoint = checkpoint_of(command);
  options.updates = command.updates;
  options.train = command.train.empty() ? train_beside_us() : command.train;
  options.scratch = scratch.path;
  const audit::ReplayResult result = replay(options, command.updates, io);
  const Json statement = audit::replay_statement(options, result);
  if (!command.output.empty()) write_text(command.output, dump_json(statement, 2) + "\n");
  if (io.json) {
    io.print_json(statement);
  } else {
    print(result, io);
  }
  return result.same ? 0 : static_cast<int>(Code::kNo);
} catch (const Interrupted& interrupted) {
  end_by(interrupted.signal);  // training has ended and the scratch directory is gone by now
}

}  // namespace

void add_replay(CommandLine& app) {
  auto options = std::make_shared<ReplayCommand>();
  Command& command =
      app.command("replay", "Run a stretch of a run again and compare every line of its ledger");
  command.about(
      "Starts train from a checkpoint of the run, in a directory of its own that is removed "
      "afterwards, and compares "
      "each update with the run's ledger while it goes. The run itself is only read. Also a "
      "detector of silent "
      "hardware errors. The verdict is an in-toto test-result statement (--json, -o), ready for "
      "repro sign.");
  command.positional("RUN", options->run, "run directory");
  command.option("--from", options->from, "checkpoint to start from: <ep3>, <best>, or a file")
      .placeholder("REF")
      .required();
  command
      .option("--updates", options->updates, "how many updates; to the end of the ledger otherwise")
      .placeholder("N");
  command
      .option("--train", options->train, "the train binary; the one beside this program otherwise")
      .placeholder("FILE");
  command.option("-o,--output", options->output, "write the verdict to a file").placeholder("FILE");
  command.example("repro replay runs/a/20261121-002911 --from '<ep3>' --updates 200",
                  "does update by update agree?");
  command.exit_code(1, "an update differs");
  command.exit_code(15, "the checkpoint has no place in the run's ledger");
  command.on_run([options](Io& io) { return run(*options, io); });
}

}  // namespace reprise::repro
