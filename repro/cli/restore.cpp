#include "repro/snapshot/restore.h"

#include "ckpt/base/error.h"
#include "ckpt/base/json.h"
#include "ckpt/base/sha256.h"
#include "repro/cli/commands.h"
#include "repro/fingerprint/fingerprint.h"

#include <memory>

namespace reprise::repro {
namespace {

struct RestoreCommand {
  std::filesystem::path run;
  std::filesystem::path target;
  std::string name = fingerprint::kSnapshotName;
  snapshot::RestoreOptions options;
};

struct Expected {
  std::string sha256;
  std::string tree;
};

// What the fingerprint says of the snapshot.
Expected expected_of(const RestoreCommand& command) {
  const Json statement = fingerprint::load(command.run);
  for (const Json& byproduct : statement["predicate"]["runDetails"]["byproducts"]) {
    const std::string place = command.run.native();
    if (require_string(byproduct, "name", place) != command.name) continue;
    return {require_string(require_object(byproduct, "digest", place), "sha256", place),
            require_string(require_object(byproduct, "annotations", place), "tree", place)};
  }
  fail(Code::kNotFound, "{}: its fingerprint names no {}; it was captured without one",
       command.run.native(), printable(command.name));
}

int run(const RestoreCommand& command, Io& io) {
  if (command.name.empty() || command.name.find('/') != std::string::npos) {
    fail(Code::kUsage, "--name: '{}' is no name of a file of the run directory",
         printable(command.name));
  }
  const Expected expected = expected_of(command);
  const std::filesystem::path zip = command.run / command.name;
  const std::string found = sha256_file(zip).hex();
  if (found != expected.sha256) {
    fail(Code::kCorrupt,
         "{}: its SHA-256 is {}, the fingerprint says {}; the file is damaged or was altered",
         zip.native(), found, printable(expected.sha256));
  }
  const snapshot::Restored restored =
      snapshot::restore(zip, command.target, expected.tree, command.options);
  if (io.json) {
    io.print_json({{"directory", command.target.native()},
                   {"tree", restored.tree},
                   {"files", restored.files},
                   {"bytes", restored.bytes},
                   {"sha256", found}});
  } else {
    io.print("{}\n", command.target.native());
    io.say("{} file{}; the tree {} is the one captured", restored.files,
           restored.files == 1 ? "" : "s", restored.tree);
  }
  return 0;
}

}  // namespace

void add_restore(CommandLine& app) {
  auto options = std::make_shared<RestoreCommand>();
  Command& command = app.command("restore", "Unpack the code of a run and prove that it is whole");
  command.about(
      "Unpacks RUN/snapshot.zip as the new directory DIR, which appears whole or not at all, and "
      "compares the git tree id computed from the files on disk with the one in the fingerprint. "
      "Nothing in the zip file is trusted: paths that leave the tree, links out of it, duplicates, "
      "devices and bombs are refused before anything is written.");
  command.positional("RUN", options->run, "run directory");
  command.positional("DIR", options->target, "directory to make");
  command.option("--name", options->name, "another snapshot of the run, such as snapshot-2.zip")
      .placeholder("FILE");
  command.flag("--allow-links-out", options->options.allow_links_out,
               "keep symbolic links that point out of the tree");
  command.example("repro restore runs/a /tmp/code-of-a");
  command.exit_code(12, "corrupt or hostile: nothing was unpacked");
  command.on_run([options](Io& io) { return run(*options, io); });
}

}  // namespace reprise::repro
