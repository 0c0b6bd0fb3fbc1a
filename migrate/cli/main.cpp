// The `migrate` binary: old and foreign checkpoints to schema version 5.
#include "ckpt/base/command_line.h"
#include "migrate/cli/run.h"

int main(int argc, char** argv) {
  using namespace reprise;
  CommandLine app(
      "migrate",
      "Upgrades old checkpoints, and those of other trainers, to version 5 without running a "
      "byte of what is in them.");
  migrate::MigrateOptions options;
  Command& command = app.program();
  command.about(
      "Writes NAME.v5.h5 beside each source, or below DIR, and never touches the source. Every "
      "result is read "
      "back and each tensor compared with the source before it becomes visible. A batch that was "
      "interrupted "
      "continues where it was; a bad file is reported and the rest goes on.");
  command.positional("IN", options.inputs, "checkpoint files, or directories of them");
  command.option("-o,--output", options.output, "directory for the results").placeholder("DIR");
  command.option("--to", options.to, "format of the results")
      .placeholder("FORMAT")
      .choices({"h5", "pth"});
  command.flag("--recursive", options.recursive, "look into subdirectories too");
  command.flag("--plan", options.plan, "say what would happen; write nothing but reports");
  command.flag("--replace", options.replace,
               "put NAME.h5 (or NAME.pth) in the place of its source, after verifying");
  command.option("--backup", options.backup, "with --replace: where the originals go")
      .placeholder("DIR");
  command
      .option("--dialect", options.dialect,
              "what the files are, where their content fits several dialects")
      .placeholder("NAME");
  command.option("--arch", options.arch, "architecture, for files that do not say")
      .placeholder("NAME");
  command.option("--arch-head", options.arch_head, "head architecture, for files that do not say")
      .placeholder("NAME");
  command.option("--shard", options.shard, "do the i-th of n slices of the batch, for job arrays")
      .placeholder("i/n");
  command.option("--report", options.reports, "also write a report; .json or .html")
      .placeholder("FILE");
  command.example("migrate old/ --recursive -o new/ --report new/report.html",
                  "upgrades every checkpoint below old/");
  command.exit_code(1, "at least one file failed");
  command.on_run([&options](Io& io) { return migrate::run(options, io); });
  return app.run(argc, argv);
}
