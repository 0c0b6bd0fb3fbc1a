// The `train` binary.
#include "ckpt/base/command_line.h"
#include "ckpt/base/error.h"
#include "ckpt/base/json.h"
#include "engine/distributed/launch.h"
#include "engine/distributed/place.h"
#include "engine/shards/plan.h"
#include "experiment/config.h"
#include "train/given_options.h"
#include "train/lists.h"
#include "train/run.h"
#include "train/start.h"

namespace {

using namespace reprise;

struct Commands {
  std::string config;
  bool print_config = false;
  std::string list;
  std::vector<std::string> arguments;  // all of them, the program's name first
};

// Said once here, and not by each process.
void refuse_world(const experiment::Config& config, int processes) {
  engine::ShardPlan plan;
  plan.batch = static_cast<std::uint64_t>(*config.batch_size);
  plan.shards = static_cast<std::uint64_t>(*config.shards);
  plan.world = processes;
  plan.validate();
}

int run(const Commands& commands, const train::GivenOptions& options, Io& io) {
  if (!commands.list.empty()) {
    train::print_list(commands.list, io);
    return 0;
  }
  std::vector<experiment::OptionLayer> layers;
  if (!commands.config.empty()) layers.push_back(experiment::read_config_file(commands.config));
  layers.push_back(options.layer());
  const engine::ProcessPlace place = engine::place_from_environment();
  const experiment::Config config = experiment::effective_config(layers, place.world);
  if (commands.print_config) {
    if (io.json) {
      io.print_json(experiment::to_json(config));
    } else {
      io.write(experiment::to_toml(config));
    }
    return 0;
  }
  // Before any thread is started; in the processes it starts, the environment says their place.
  const int processes = static_cast<int>(config.nproc);
  // `srun -n 1 train --nproc 2` starts one that starts its own.
  const bool alone = place.launcher.empty() || (place.launcher == "Slurm" && place.world == 1);
  if (processes > 1 && alone) {
    refuse_world(config.resume_from.empty()
                     ? config
                     : train::plan_start(layers, processes, /*verify=*/false).config,
                 processes);
    return engine::launch_local(processes, commands.arguments);
  }
  if (processes > 1 && processes != place.world) {
    fail(Code::kUsage, "nproc = {}, but {} started {} processes; leave one of them out", processes,
         place.launcher, place.world);
  }
  return train::run_training(layers, io.jobs, io);
}

}  // namespace

int main(int argc, char** argv) {
  CommandLine app("train",
                  "Trains a network, so that stopping, resuming and running again give "
                  "the same bits");
  Command& command = app.program();
  Commands commands;
  commands.arguments.assign(argv, argv + argc);
  command.option("--config", commands.config, "configuration file: TOML, one key an option")
      .placeholder("FILE.toml")
      .group("configuration");
  command
      .flag("--print-config", commands.print_config, "print the effective configuration and stop")
      .group("configuration");
  command.option("--list", commands.list, "list what there is and stop")
      .placeholder("WHAT")
      .choices(train::list_names())
      .group("configuration");
  const train::GivenOptions options(command);
  command.about(
      "Every option is a key of the configuration file; the command line wins. SIGTERM, "
      "SIGINT and SIGUSR1 finish the update, save and exit 75.");
  command.example("train --data builtin:roads --epochs 3 --work-dir runs/roads",
                  "trains on generated road scenes; go on with --resume-from runs/roads");
  command.exit_code(1, "the loss diverged; the state of before is saved");
  command.exit_code(15, "the checkpoint is of another run, model or configuration");
  command.exit_code(75,
                    "stopped by a signal or --max-hours after saving: resume with "
                    "--resume-from");
  command.on_run([&](Io& io) { return run(commands, options, io); });
  return app.run(argc, argv);
}
