#include "ckpt/base/error.h"
#include "ckpt/base/json.h"
#include "ckpt/cli/commands.h"
#include "ckpt/container/scan_file.h"

#include <map>
#include <memory>
#include <optional>

namespace reprise::cli {
namespace {

using container::FileScan;
using pickle::GlobalUse;
using pickle::Verdict;

struct ScanOptions {
  std::vector<std::filesystem::path> files;
  bool everywhere = false;
};

// Each global once a pickle, with the place it is met first, unless all are asked for.
std::vector<const GlobalUse*> shown(const pickle::PickleScan& scan, bool everywhere) {
  std::vector<const GlobalUse*> uses;
  std::map<std::string_view, bool> seen;
  for (const GlobalUse& use : scan.globals) {
    if (everywhere || seen.emplace(use.name, true).second) uses.push_back(&use);
  }
  return uses;
}

Json to_json(const std::filesystem::path& path, const FileScan& scan, bool everywhere,
             Json& globals) {
  Json pickles = Json::array();
  for (const container::ScannedPickle& found : scan.pickles) {
    for (const GlobalUse* use : shown(found.scan, everywhere)) {
      globals.push_back({{"name", use->name},
                         {"verdict", std::string(to_string(use->judgement.verdict))},
                         {"reason", std::string(use->judgement.reason)},
                         {"offset_bytes", use->offset_bytes},
                         {"file", path.string()},
                         {"pickle", found.place}});
    }
    pickles.push_back({{"pickle", found.place},
                       {"complete", found.scan.complete},
                       {"problem", found.scan.problem}});
  }
  return {{"path", path.string()},
          {"verdict", std::string(to_string(scan.worst()))},
          {"pickles", std::move(pickles)},
          {"problems", scan.problems}};
}

void print_text(Io& io, const std::filesystem::path& path, const FileScan& scan, bool everywhere) {
  const std::string verdict(to_string(scan.worst()));
  io.print("{}: {}{}\n", printable(path.native(), 4096),
           scan.pickles.empty() && !scan.problems.empty() ? "could not be looked into"
           : scan.pickles.empty()                         ? "holds no pickle"
           : scan.worst() == Verdict::kDangerous          ? io.red(verdict)
                                                          : verdict,
           scan.pickles.size() > 1 ? fmt::format(", {} pickles", scan.pickles.size()) : "");
  for (const container::ScannedPickle& found : scan.pickles) {
    for (const GlobalUse* use : shown(found.scan, everywhere)) {
      const std::string word(to_string(use->judgement.verdict));
      io.print("  {:9}  byte {:<8}  {}  ({}){}\n", word, use->offset_bytes, printable(use->name),
               use->judgement.reason, found.place.empty() ? "" : "  in " + found.place);
    }
    if (!found.scan.complete) io.print("  broken     {}\n", printable(found.scan.problem));
  }
  for (const std::string& problem : scan.problems)
    io.print("  problem    {}\n", printable(problem, 1000));
}

int run(const ScanOptions& options, Io& io) {
  Json globals = Json::array();
  Json files = Json::array();
  bool dangerous = false;
  std::size_t unseen = 0;
  std::optional<Code> unread;  // why the first file that could not be read could not
  for (const std::filesystem::path& path : options.files) {
    FileScan scan;
    try {
      scan = container::scan_file(path);
    } catch (const Error& error) {
      // The others are looked into nevertheless.
      scan.problems.push_back(error.what());
      unread = unread.value_or(error.code());
    }
    dangerous = dangerous || scan.worst() == Verdict::kDangerous;
    unseen += scan.problems.empty() ? 0U : 1U;
    if (io.json) {
      files.push_back(to_json(path, scan, options.everywhere, globals));
    } else {
      print_text(io, path, scan, options.everywhere);
    }
  }
  if (io.json) io.print_json({{"globals", std::move(globals)}, {"files", std::move(files)}});
  if (unseen > 0) {
    io.say("{} of {} files could not be looked into whole: what is listed may not be all", unseen,
           options.files.size());
  }
  if (dangerous) return 1;
  return unseen > 0 ? static_cast<int>(unread.value_or(Code::kCorrupt)) : 0;
}

}  // namespace

void add_scan(CommandLine& app) {
  auto options = std::make_shared<ScanOptions>();
  Command& command = app.command("scan", "What Python would import to open a file");
  command.about(
      "Names each class and function that the pickles in the files import, with the byte at which "
      "they "
      "do, and a verdict: known, unknown (code of some package), or dangerous (runs commands, "
      "touches "
      "files, loads code). Looks into archives inside archives. Nothing is unpickled.");
  command.positional("FILE", options->files, "files of any kind");
  command.flag("--everywhere", options->everywhere,
               "every place that imports a global, not the first alone");
  command.example("ckpt scan downloads/*.pth", "exits 1 when one of them is dangerous");
  command.exit_code(1, "at least one global is dangerous");
  command.exit_code(12, "none is, but an archive is damaged, or holds more than is looked into");
  command.on_run([options](Io& io) { return run(*options, io); });
}

}  // namespace reprise::cli
