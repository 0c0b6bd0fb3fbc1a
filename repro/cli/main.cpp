// The `repro` binary: what made a run, where two runs parted, and whether to trust one.
#include "repro/cli/commands.h"

int main(int argc, char** argv) {
  using namespace reprise;
  CommandLine app("repro",
                  "Captures what a run was made of, finds where two runs parted and why, and signs "
                  "and verifies runs.");
  repro::add_capture(app);
  repro::add_run(app);
  repro::add_diff(app);
  repro::add_audit(app);
  repro::add_replay(app);
  repro::add_restore(app);
  repro::add_keygen(app);
  repro::add_sign(app);
  repro::add_verify(app);
  repro::add_table(app);
  repro::add_plot(app);
  repro::add_report(app);
  repro::add_export(app);
  return app.run(argc, argv);
}
