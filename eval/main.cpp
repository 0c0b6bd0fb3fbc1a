// The `eval` binary.
#include "ckpt/base/command_line.h"
#include "eval/evaluate_command.h"

int main(int argc, char** argv) {
  using namespace reprise;
  CommandLine app("eval", "Evaluates saved checkpoints, with the bits that training got");
  Command& command = app.program();
  eval::EvalOptions options;
  command.positional("CKPT|RUN", options.target,
                     "a checkpoint of any readable format, a reference such as runs/a/<best>, or a "
                     "run directory: its last one");
  command.option("--epochs", options.epochs, "of a run: these epochs, both ends included")
      .placeholder("A:B");
  command.flag("--all", options.all, "of a run: every checkpoint");
  command.flag("--watch", options.watch,
               "of a run: every checkpoint, and each new one until the run ends");
  command.option("--data", options.data, "evaluate on this instead of what training evaluated on")
      .placeholder("DATA");
  command
      .option("--max-eval-samples", options.max_samples,
              "evaluate on so many samples, spread over the set; 0: all")
      .standard("as in training");
  command.option("--batch-size", options.batch_size, "samples in flight; no metric depends on it");
  command.flag("--compare-origin", options.compare_origin,
               "fail unless every metric is what training logged, to the last bit");
  command.option("--device", options.device, "auto, cpu, cuda, cuda:1; auto: a GPU if there is one")
      .placeholder("DEVICE");
  command.option("--workers", options.workers, "threads that load images");
  command
      .option("--arch", options.arch,
              "the network of a checkpoint that does not say it; train --list arch shows all")
      .placeholder("ARCH");
  command
      .option(
          "--image-size", options.image_size,
          "side of what the network sees, of checkpoints that do not say it; 0: that of the data")
      .placeholder("PIXELS");
  command.flag("--skip-bad", options.skip_bad, "leave out images that do not decode");
  command
      .option("--protocol", options.protocol,
              "judge the network, or its backbone alone: by the vote of the nearest training "
              "samples, or by a linear layer trained on its features; auto: knn for a dino "
              "checkpoint, else network")
      .placeholder("WHAT")
      .choices({"auto", "network", "knn", "linear"});
  command.option("--neighbours", options.neighbours, "how many vote with knn")
      .placeholder("N")
      .standard("as in training, else 20");
  command
      .option("--bank-samples", options.bank_samples,
              "training samples for knn and linear, spread over the set; 0: all")
      .placeholder("N")
      .standard("as in training, else 0");
  command
      .option("--backbone", options.backbone,
              "the checkpoint that holds a head's backbone, if it is not found by its UUID")
      .placeholder("CKPT");
  command
      .option("--search-path", options.search_path,
              "folders in which a backbone's UUID is looked for, with ':' between")
      .placeholder("DIRS");
  command.about(
      "Results are appended to eval.tsv in the run directory, by checkpoint, data and "
      "settings.");
  command.example("eval runs/roads --all --compare-origin",
                  "evaluates every saved epoch and proves that training logged the same values");
  command.exit_code(1, "--compare-origin found a difference, or nothing to compare with");
  command.exit_code(15, "the checkpoint does not fit the network or the data");
  command.on_run([&](Io& io) { return eval::run(options, io); });
  return app.run(argc, argv);
}
