// The commands of `ckpt`, one file each: it describes its options and runs.
#pragma once

#include "ckpt/base/command_line.h"

namespace reprise::cli {

void add_show(CommandLine& app);
void add_ls(CommandLine& app);
void add_tree(CommandLine& app);
void add_scan(CommandLine& app);
void add_verify(CommandLine& app);
void add_diff(CommandLine& app);
void add_stats(CommandLine& app);
void add_convert(CommandLine& app);
void add_extract(CommandLine& app);
void add_average(CommandLine& app);
void add_lineage(CommandLine& app);
void add_runs(CommandLine& app);
void add_clean(CommandLine& app);

}  // namespace reprise::cli
