#include "ckpt/base/error.h"
#include "ckpt/cli/commands.h"
#include "ckpt/cli/write_target.h"
#include "ckpt/store/load.h"
#include "ckpt/store/take.h"

#include <memory>

namespace reprise::cli {
namespace {

struct ExtractOptions {
  std::string in;
  WriteTarget out;
  std::string take;
  std::string strip_prefix;
};

int run(const ExtractOptions& options, Io& io) {
  check_target(options.out);
  // Each tensor is verified when it is read.
  const Checkpoint whole = store::load(options.in, {.verify = false, .jobs = io.jobs});
  Checkpoint weights;
  weights.type = CheckpointType::kModel;
  weights.model = store::take_weights(whole, options.take, options.strip_prefix);
  weights.uuid = Uuid::random();
  weights.epoch = whole.epoch;
  weights.epoch_known = whole.epoch_known;
  weights.arch = options.take == "head" && whole.arch_head ? *whole.arch_head : whole.arch;
  weights.config = whole.config;
  weights.run = whole.run;
  weights.parents = {{whole.uuid, Relation::kLoaded}};
  weights.arena->keep_alive(whole.arena);
  write_target(weights, options.out, io);
  return 0;
}

}  // namespace

void add_extract(CommandLine& app) {
  auto options = std::make_shared<ExtractOptions>();
  Command& command = app.command("extract", "Write only some weights of a checkpoint");
  command.about(
      "The result is a checkpoint of type model with a UUID of its own and CKPT as its parent; it "
      "has no optimizer. backbone and head of a dino checkpoint are its teacher's, model is the "
      "whole network.");
  command.positional("CKPT", options->in, "file, or reference such as runs/a/<best>");
  command.positional("OUT", options->out.path, "the file to write (.h5, .pth, .safetensors)");
  command.option("--take", options->take, "which weights")
      .placeholder("WHAT")
      .choices({store::take_names().begin(), store::take_names().end()})
      .required();
  command
      .option("--strip-prefix", options->strip_prefix,
              "only keys that start with P, and without it")
      .placeholder("P");
  command.flag("--lossy", options->out.lossy, "leave out what the format of OUT cannot hold");
  command.flag("--overwrite", options->out.overwrite, "replace OUT when it exists");
  command.example("ckpt extract dino.h5 backbone.safetensors --take backbone",
                  "the teacher's backbone, for a new head");
  command.exit_code(14, "incomplete: the writer never committed");
  command.exit_code(15, "mismatch: the checkpoint has no such weights");
  command.on_run([options](Io& io) { return run(*options, io); });
}

}  // namespace reprise::cli
