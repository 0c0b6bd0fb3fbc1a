#include "repro/cli/capture.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "repro/cli/commands.h"
#include "repro/fingerprint/difference.h"
#include "repro/fingerprint/fingerprint.h"
#include "repro/snapshot/snapshot.h"

#include <charconv>
#include <memory>
#include <optional>

namespace reprise::repro {
namespace {

std::vector<fingerprint::DataDigest> digest_all(const std::vector<std::string>& arguments, Io& io) {
  std::vector<fingerprint::DataDigest> out;
  for (const std::string& argument : arguments) {
    const std::size_t equals = argument.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == argument.size()) {
      fail(Code::kUsage, "--data: '{}' is not NAME=PATH", printable(argument));
    }
    out.push_back(fingerprint::digest_data(argument.substr(0, equals), argument.substr(equals + 1),
                                           io.jobs, io.progress()));
  }
  return out;
}

// "50MB", "1.5 GiB", "800000": bytes.
std::uint64_t parse_size(std::string_view option, const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string unit(end, text.data() + text.size());
  std::erase(unit, ' ');
  for (const auto& [name, factor] :
       {std::pair{"", 1.0}, std::pair{"B", 1.0}, std::pair{"kB", 1e3}, std::pair{"KB", 1e3},
        std::pair{"MB", 1e6}, std::pair{"GB", 1e9}, std::pair{"KiB", 1024.0},
        std::pair{"MiB", 1048576.0}, std::pair{"GiB", 1073741824.0}}) {
    if (error == std::errc() && unit == name && value >= 0 && value * factor < 1e15) {
      return static_cast<std::uint64_t>(value * factor);
    }
  }
  fail(Code::kUsage, "{}: '{}' is no size such as 50MB or 1GiB", option, printable(text));
}

struct Taken {
  std::string name;
  snapshot::Snapshot snapshot;
};

snapshot::Options snapshot_options(const CaptureOptions& options, Io& io) {
  snapshot::Options how;
  how.budget_bytes = parse_size("--budget", options.budget);
  how.file_limit_bytes = parse_size("--file-limit", options.file_limit);
  how.exclude = options.exclude;
  how.allow = options.allow;
  how.redact = options.redact;
  how.jobs = io.jobs;
  return how;
}

// The snapshot, under a name of its own; nothing when the run already has one of this content.
std::optional<Taken> take_snapshot(const fingerprint::CodeState& code,
                                   const std::filesystem::path& run, const snapshot::Options& how,
                                   Io& io) {
  const auto name = fingerprint::name_for_snapshot(run, code.tree);
  if (!name) return std::nullopt;
  Taken out;
  out.name = *name;
  const bool is_new = !std::filesystem::exists(run);
  make_directories(run);
  try {
    out.snapshot = snapshot::write(code, run / out.name, how);
  } catch (const Error&) {
    std::error_code ignored;  // a refused capture leaves no folder that looks like a run
    if (is_new) std::filesystem::remove(run, ignored);
    throw;
  }
  for (const snapshot::Finding& finding : out.snapshot.redacted) {
    io.warn("{}:{}: {} redacted in the snapshot", printable(finding.path), finding.line,
            finding.kind);
  }
  for (const std::string& link : out.snapshot.links_out) {
    io.warn("{}: a link out of the tree; restoring it needs --allow-links-out", printable(link));
  }
  for (const fingerprint::Submodule& submodule : code.submodules) {
    if (submodule.dirty) {
      io.warn("{}: the submodule has changes, which the snapshot does not hold",
              printable(submodule.path));
    }
  }
  return out;
}

Json annotations_of(const snapshot::Snapshot& taken) {
  Json out = {{"tree", taken.tree}, {"files", taken.files}, {"bytes", taken.bytes}};
  Json excluded = Json::array();
  for (const std::string& path : taken.excluded) excluded.push_back(printable(path, 4096));
  if (!excluded.empty()) out["excluded"] = std::move(excluded);
  Json redacted = Json::array();
  for (const snapshot::Finding& finding : taken.redacted) {
    redacted.push_back(
        {{"path", printable(finding.path, 4096)}, {"line", finding.line}, {"kind", finding.kind}});
  }
  if (!redacted.empty()) out["redacted"] = std::move(redacted);
  return out;
}

void say_code(const fingerprint::CodeState& code, Io& io) {
  if (code.owned_by_another) {
    io.warn("{}: belongs to another user; it was read, and nothing of its configuration was run",
            printable(code.root.native()));
  }
  for (const fingerprint::Omission& omission : code.omitted) {
    io.warn("{}: not in the patch: {}", printable(omission.path), omission.reason);
  }
  for (const fingerprint::Omission& note : code.notes) {
    io.warn("{}: {}", printable(note.path), note.reason);
  }
}

int run(const CaptureOptions& options, Io& io) {
  const Captured captured = capture_into(options, io);
  if (io.json) {
    io.print_json(captured.summary);
  } else {
    for (const auto& [key, value] : captured.summary.items()) {
      io.print("{:<12} {}\n", key, value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
  return 0;
}

}  // namespace

void describe_capture(Command& command, CaptureOptions& options) {
  command.option("-o,--output", options.output, "run directory to write into; made when missing")
      .placeholder("DIR")
      .required();
  command.option("--data", options.data, "a data set to digest; once for each")
      .placeholder("NAME=PATH");
  command
      .option("--env", options.environment,
              "a variable of the environment to keep beyond the usual ones; once for each")
      .placeholder("NAME");
  const std::string group = "options of the snapshot";
  command.toggle("--snapshot", "--no-snapshot", options.snapshot, "keep the code in snapshot.zip")
      .group(group);
  command.option("--budget", options.budget, "refuse when it would be larger")
      .placeholder("SIZE")
      .group(group);
  command.option("--file-limit", options.file_limit, "refuse larger files")
      .placeholder("SIZE")
      .group(group);
  command.option("--exclude", options.exclude, "leave files out, such as 'data/*'; recorded")
      .placeholder("PATTERN")
      .group(group);
  command
      .option("--allow", options.allow, "PATH or PATH:LINE where what looks like a secret is none")
      .placeholder("PATTERN")
      .group(group);
  command.flag("--redact", options.redact, "replace what looks like a secret, and go on")
      .group(group);
  command.exit_code(1, "refused: the snapshot would hold a secret, or be over its budget");
}

Captured capture_into(const CaptureOptions& options, Io& io) {
  const snapshot::Options how = snapshot_options(options, io);
  if (std::filesystem::exists(options.output) && !std::filesystem::is_directory(options.output)) {
    fail(Code::kUsage, "--output: {} is no directory, and stays as it is; name a new one",
         printable(options.output.native()));
  }
  fingerprint::Options what;
  what.command = options.command;
  what.environment = options.environment;
  what.python = true;
  what.code_options.jobs = io.jobs;
  what.code_options.leave_out = {options.output};
  what.data = digest_all(options.data, io);
  const fingerprint::Fingerprint captured = fingerprint::capture(what);
  if (captured.code) {
    say_code(*captured.code, io);
  } else {
    io.say("no git repository here: the code is not captured");
  }
  std::optional<Taken> taken;
  if (options.snapshot && captured.code && !captured.code->bare) {
    taken = take_snapshot(*captured.code, options.output, how, io);
  }
  const bool again = std::filesystem::exists(options.output / fingerprint::kFileName);
  fingerprint::Record record;
  record.kind = again ? "resume" : "start";
  if (taken) {
    record.byproducts.push_back(
        {taken->name, taken->snapshot.sha256, annotations_of(taken->snapshot)});
  }
  Captured out;
  out.record = fingerprint::record(options.output, captured, record);
  out.summary = {{"fingerprint", (options.output / fingerprint::kFileName).native()},
                 {"digest", fingerprint::digest(captured.statement).hex()},
                 {"record", out.record}};
  if (captured.code) {
    out.summary["commit"] = captured.code->commit;
    out.summary["tree"] = captured.code->tree;
    out.summary["dirty"] = captured.code->dirty;
  }
  if (taken) out.summary["snapshot"] = (options.output / taken->name).native();
  return out;
}

void add_capture(CommandLine& app) {
  auto options = std::make_shared<CaptureOptions>();
  Command& command = app.command("capture", "Write down what a run here would be made of");
  command.about(
      "Looks at the git repository that this directory lies in (untracked files included, ignored "
      "ones not), at the machine, its software and the environment, and writes fingerprint.json: "
      "an "
      "in-toto statement with an SLSA provenance predicate. The repository is not touched. Values "
      "that look like secrets are redacted. The code itself goes into snapshot.zip, which "
      "`repro restore` unpacks; it is refused when a file holds what looks like a secret.");
  describe_capture(command, *options);
  command.example("repro capture -o runs/a --data train=data/train",
                  "writes fingerprint.json, with a digest of the training data, and snapshot.zip");
  command.on_run([options](Io& io) { return run(*options, io); });
}

}  // namespace reprise::repro
