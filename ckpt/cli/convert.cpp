#include "ckpt/base/error.h"
#include "ckpt/cli/commands.h"
#include "ckpt/cli/write_target.h"
#include "ckpt/store/load.h"

#include <memory>

namespace reprise::cli {
namespace {

struct ConvertOptions {
  std::string in;
  WriteTarget out;
  store::LoadOptions load;
};

int run(const ConvertOptions& options, Io& io) {
  check_target(options.out);
  store::LoadOptions load = options.load;
  load.verify = false;  // each tensor is verified when it is read, which needs less memory
  load.jobs = io.jobs;
  write_target(store::load(options.in, load), options.out, io);
  return 0;
}

}  // namespace

void add_convert(CommandLine& app) {
  auto options = std::make_shared<ConvertOptions>();
  Command& command = app.command("convert", "Write a checkpoint in another format");
  command.about(
      "The suffix of OUT says which: .h5 (native), .pth (PyTorch), .safetensors (weights and text "
      "only). Every digest of IN is verified on the way, and what is older than version 5 is "
      "upgraded.");
  command.positional("IN", options->in, "file, or reference such as runs/a/<best>");
  command.positional("OUT", options->out.path, "the file to write");
  command.flag("--lossy", options->out.lossy, "leave out what the format of OUT cannot hold");
  command.flag("--overwrite", options->out.overwrite, "replace OUT when it exists");
  command
      .option("--dialect", options->load.dialect,
              "the trainer that IN came from, where that is ambiguous")
      .placeholder("NAME");
  command.option("--arch", options->load.arch, "architecture, for files that do not say it")
      .placeholder("NAME");
  command
      .option("--arch-head", options->load.arch_head,
              "head architecture, for files that do not say it")
      .placeholder("NAME");
  command.example("ckpt convert 'runs/a/<best>' best.safetensors --lossy",
                  "the weights for other tools");
  command.exit_code(14, "incomplete: the writer of IN never committed");
  command.on_run([options](Io& io) { return run(*options, io); });
}

}  // namespace reprise::cli
