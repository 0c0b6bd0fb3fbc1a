#include "repro/cli/commands.h"

#include "ckpt/base/error.h"
#include "ckpt/base/json.h"
#include "repro/fingerprint/difference.h"
#include "repro/fingerprint/difference_text.h"
#include "repro/fingerprint/fingerprint.h"

#include <algorithm>
#include <filesystem>
#include <memory>

namespace reprise::repro {
namespace {

struct DiffOptions {
  std::filesystem::path a;
  std::filesystem::path b;
};

void print(const std::vector<fingerprint::Difference>& differences, Io& io) {
  std::size_t width = 0;
  for (const auto& difference : differences) width = std::max(width, difference.field.size());
  width = std::min<std::size_t>(width, 44);
  const auto headings = {std::pair{fingerprint::Influence::kLikely, "likely to change bits"},
                         std::pair{fingerprint::Influence::kPossible, "may change bits"},
                         std::pair{fingerprint::Influence::kUnlikely, "unlikely to change bits"}};
  for (const auto& [influence, heading] : headings) {
    bool first = true;
    for (const auto& difference : differences) {
      if (difference.influence != influence) continue;
      if (first) io.print("{}\n", io.bold(heading));
      first = false;
      const auto text = fingerprint::text_of(difference.field, difference.a, difference.b);
      io.print("  {:<{}}  {} -> {}\n", printable(difference.field), width, io.red(text.a),
               io.green(text.b));
    }
  }
}

int run(const DiffOptions& options, Io& io) {
  const Json a = fingerprint::load(options.a);
  const Json b = fingerprint::load(options.b);
  const auto differences = fingerprint::differences(a, b);
  if (io.json) {
    Json list = Json::array();
    for (const auto& difference : differences) {
      list.push_back({{"field", difference.field},
                      {"a", difference.a},
                      {"b", difference.b},
                      {"influence", fingerprint::to_string(difference.influence)}});
    }
    io.print_json({{"same", differences.empty()},
                   {"digest_a", fingerprint::digest(a).hex()},
                   {"digest_b", fingerprint::digest(b).hex()},
                   {"differences", std::move(list)}});
  } else if (differences.empty()) {
    io.print("the same in every field\n");
  } else {
    print(differences, io);
  }
  return differences.empty() ? 0 : 1;
}

}  // namespace

void add_diff(CommandLine& app) {
  auto options = std::make_shared<DiffOptions>();
  Command& command = app.command("diff", "Show where two fingerprints differ");
  command.about(
      "Prints only what differs, what most likely changes bits first: seeds, code, data, batch, "
      "determinism, libraries, GPU, then the rest. `repro audit` says where the runs themselves "
      "parted.");
  command.positional("A", options->a, "run directory or fingerprint.json");
  command.positional("B", options->b, "the other one");
  command.example("repro diff runs/a runs/b");
  command.exit_code(1, "the fingerprints differ");
  command.on_run([options](Io& io) { return run(*options, io); });
}

}  // namespace reprise::repro
