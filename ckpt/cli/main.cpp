// The `ckpt` binary: what checkpoints are, whether they are whole, and what to do with them.
#include "ckpt/cli/commands.h"

int main(int argc, char** argv) {
  using namespace reprise;
  CommandLine app("ckpt",
                  "Shows, verifies, compares and converts checkpoints, and keeps runs in order. "
                  "CKPT is a file of any readable format, or a reference: RUN/<best>, RUN/<last>, "
                  "RUN/<last>~1, RUN/<ep12>, RUN/<uuid:1f3a>.");
  cli::add_show(app);
  cli::add_ls(app);
  cli::add_tree(app);
  cli::add_scan(app);
  cli::add_verify(app);
  cli::add_diff(app);
  cli::add_stats(app);
  cli::add_convert(app);
  cli::add_extract(app);
  cli::add_average(app);
  cli::add_lineage(app);
  cli::add_runs(app);
  cli::add_clean(app);
  return app.run(argc, argv);
}
