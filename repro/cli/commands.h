// The commands of the `repro` binary, each in a file of its own: cli/NAME.cpp defines add_NAME().
#pragma once

#include "ckpt/base/command_line.h"

namespace reprise::repro {

void add_capture(CommandLine& app);
void add_run(CommandLine& app);
void add_diff(CommandLine& app);
void add_audit(CommandLine& app);
void add_replay(CommandLine& app);
void add_restore(CommandLine& app);
void add_keygen(CommandLine& app);
void add_sign(CommandLine& app);
void add_verify(CommandLine& app);
void add_table(CommandLine& app);
void add_plot(CommandLine& app);
void add_report(CommandLine& app);
void add_export(CommandLine& app);

}  // namespace reprise::repro
