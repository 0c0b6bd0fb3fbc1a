#include "ckpt/base/error.h"
#include "ckpt/base/json.h"
#include "ckpt/base/progress.h"
#include "ckpt/cli/commands.h"
#include "ckpt/container/open.h"
#include "ckpt/store/load.h"
#include "ckpt/store/reference.h"
#include "ckpt/store/references_to.h"

#include <algorithm>
#include <memory>

namespace reprise::cli {
namespace {

struct VerifyOptions {
  std::vector<std::string> checkpoints;
  bool deep = false;
  bool lineage = false;
};

struct Verdict {
  std::string path;
  std::vector<container::Problem> problems;
  std::vector<Parent> missing;  // what it refers to and nobody has
  std::uint64_t bytes_read = 0;
  bool has_digests = false;
};

bool in_list(const std::vector<store::CheckpointEntry>& entries, const Uuid& uuid) {
  return std::ranges::any_of(entries, [&](const auto& entry) { return entry.uuid == uuid; });
}

// What `checkpoint` refers to and is not found beside it or in neighbouring runs.
std::vector<Parent> missing_references(const std::filesystem::path& path,
                                       const Checkpoint& checkpoint) {
  std::vector<Parent> open = checkpoint.parents;
  if (checkpoint.uuid_backbone) open.push_back({*checkpoint.uuid_backbone, Relation::kBackbone});
  if (open.empty()) return open;
  std::error_code failure;
  const std::filesystem::path folder = std::filesystem::absolute(path, failure).parent_path();
  const auto drop_found = [&](const std::vector<store::CheckpointEntry>& entries) {
    std::erase_if(open, [&](const Parent& parent) { return in_list(entries, parent.uuid); });
  };
  drop_found(store::list_checkpoints(folder));
  if (open.empty()) return open;
  const bool in_run = folder.filename() == "checkpoints";
  for (const auto& run : store::neighbours(in_run ? folder.parent_path() : folder)) {
    try {
      drop_found(run.list());
    } catch (const Error&) {
      // Closed to this user, or removed meanwhile: what is in it was not found.
    }
    if (open.empty()) break;
  }
  return open;
}

// The file, or the argument as it is where there is none: that is a verdict on this one alone. A
// directory, or a reference that is none, is a mistake in the command line and is thrown.
std::string file_of(const std::string& argument) {
  try {
    return store::resolve(argument).native();
  } catch (const Error& error) {
    if (error.code() == Code::kUsage) throw;
    return argument;
  }
}

Verdict verify(const std::string& argument, const VerifyOptions& options, Io& io,
               Progress& progress) {
  Verdict verdict;
  verdict.path = argument;
  try {
    const std::filesystem::path path = store::resolve(argument);
    verdict.path = path.native();
    container::VerifyOptions how;
    how.jobs = io.jobs;
    how.deep = options.deep;
    how.on_bytes = [&](std::uint64_t bytes) { progress.add(bytes); };
    container::VerifyReport report = container::verify(path, how);
    verdict.problems = std::move(report.problems);
    verdict.bytes_read = report.bytes_read;
    verdict.has_digests = report.has_digests;
    if (!verdict.problems.empty()) return verdict;
    // The bytes are whole; now what they say.
    const Checkpoint checkpoint = store::load(path.native(), {.verify = false, .jobs = io.jobs});
    verdict.missing = missing_references(path, checkpoint);
    if (options.lineage) {
      for (const Parent& parent : verdict.missing) {
        verdict.problems.push_back(
            {Code::kNotFound, "", 0,
             fmt::format("{} {} is in no neighbouring run; restore it, or verify without --lineage",
                         to_string(parent.relation), parent.uuid.text())});
      }
    }
  } catch (const Error& error) {
    verdict.problems.push_back({error.code(), "", 0, error.what()});
  }
  return verdict;
}

Json to_json(const Verdict& verdict) {
  Json problems = Json::array();
  for (const container::Problem& problem : verdict.problems) {
    problems.push_back({{"problem", to_string(problem.code)},
                        {"exit_code", static_cast<int>(problem.code)},
                        {"tensor", problem.tensor.empty() ? Json(nullptr) : Json(problem.tensor)},
                        {"offset_bytes", problem.offset_bytes},
                        {"message", problem.message}});
  }
  Json missing = Json::array();
  for (const Parent& parent : verdict.missing) {
    missing.push_back({{"uuid", parent.uuid.text()}, {"relation", to_string(parent.relation)}});
  }
  return {{"path", verdict.path},           {"ok", verdict.problems.empty()},
          {"problems", problems},           {"missing", missing},
          {"digests", verdict.has_digests}, {"bytes_read", verdict.bytes_read}};
}

void print_text(Io& io, const Verdict& verdict) {
  const std::string path = printable(verdict.path, 4096);
  if (verdict.problems.empty()) {
    io.print(
        "{}  {}{}\n", io.green("ok "), path,
        verdict.has_digests ? "" : "  (no digests in this format: structure and checksums only)");
  } else {
    io.print("{}  {}\n", io.red("BAD"), path);
    for (const container::Problem& problem : verdict.problems) {
      io.print("     {}: {}\n", to_string(problem.code), problem.message);
    }
  }
  for (const Parent& parent : verdict.missing) {
    io.say("{}: {} {} was not found beside it or in neighbouring runs", path,
           to_string(parent.relation), parent.uuid.text());
  }
}

// A file that is not there, or that nobody may read, is no answer about its content.
bool is_answer(Code code) {
  return code != Code::kNotFound && code != Code::kIo && code != Code::kUsage;
}

int exit_code_of(const std::vector<Verdict>& verdicts, bool lineage) {
  int code = 0;
  for (const Verdict& verdict : verdicts) {
    for (const container::Problem& problem : verdict.problems) {
      if (is_answer(problem.code) || (lineage && !verdict.missing.empty())) return 1;
      code = static_cast<int>(problem.code);
    }
  }
  return code;
}

int run(const VerifyOptions& options, Io& io) {
  std::uint64_t total = 0;
  for (const std::string& argument : options.checkpoints) {
    std::error_code failure;
    const auto size = std::filesystem::file_size(file_of(argument), failure);
    if (!failure) total += options.deep ? 2 * size : size;
  }
  std::vector<Verdict> verdicts;
  {
    Progress progress("verify", total, ProgressUnit::kBytes, io.progress());
    for (const std::string& argument : options.checkpoints) {
      verdicts.push_back(verify(argument, options, io, progress));
    }
  }
  Json files = Json::array();
  for (const Verdict& verdict : verdicts) {
    if (io.json) {
      files.push_back(to_json(verdict));
    } else {
      print_text(io, verdict);
    }
  }
  if (io.json) io.print_json({{"files", std::move(files)}});
  return exit_code_of(verdicts, options.lineage);
}

}  // namespace

void add_verify(CommandLine& app) {
  auto options = std::make_shared<VerifyOptions>();
  Command& command = app.command("verify", "Check that checkpoints are whole");
  command.about(
      "Reads every byte and checks structure, digests or checksums, the schema, and that backbone "
      "and parents are found beside the file or in neighbouring runs (what is missing is "
      "reported). Goes on after a bad file.");
  command.positional("CKPT", options->checkpoints, "files, or references such as runs/a/<best>");
  command.flag("--deep", options->deep,
               "native files: have libhdf5 read them too, and compare what it sees");
  command.flag("--lineage", options->lineage, "a missing backbone or parent is a problem");
  command.example("ckpt verify runs/road/*/checkpoints/*.h5",
                  "checks every checkpoint of all runs named road");
  command.exit_code(1, "a file is not whole");
  command.on_run([options](Io& io) { return run(*options, io); });
}

}  // namespace reprise::cli
