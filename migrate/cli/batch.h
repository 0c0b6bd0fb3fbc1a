// Which files a migration covers, and where each result goes.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace reprise::migrate {

// What the command line says.
struct MigrateOptions {
  std::vector<std::filesystem::path> inputs;
  std::optional<std::filesystem::path> output;  // a directory; else beside the source
  std::string to = "h5";                        // or "pth"
  bool recursive = false;
  bool plan = false;
  bool replace = false;
  std::optional<std::filesystem::path> backup;
  std::string dialect, arch, arch_head;
  std::string shard;  // "i/n", i from 1
  std::vector<std::filesystem::path> reports;
};

// One file of a batch.
struct Item {
  std::filesystem::path source;
  std::filesystem::path target;
  std::optional<std::filesystem::path> backup;  // --replace: where the source goes
  // Set when the item cannot be done whatever the file holds (two sources with one target).
  std::string problem;
};

// Files as given, and those of directories (all levels with --recursive) whose names
// end like a checkpoint's, sorted by path; results of earlier migrations (*.v5.h5,
// *.v5.pth), temporary files, and the .pts halves of pairs are left out. Every call
// with the same tree gives the same items, so shards cover it without overlap.
// Errors: kNotFound for an input that does not exist; kUsage for a bad shard,
// --replace and --backup without one another, -o or --backup that is a file, --replace with -o, a
// backup where the sources are or would be looked for, nothing to do.
std::vector<Item> plan_batch(const MigrateOptions& options);

}  // namespace reprise::migrate
