#include "repro/cli/capture.h"

#include "ckpt/base/error.h"
#include "repro/cli/commands.h"
#include "repro/fingerprint/difference.h"
#include "repro/fingerprint/fingerprint.h"

#include <memory>

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
}

Captured capture_into(const CaptureOptions& options, Io& io) {
  fingerprint::Options what;
  what.command = options.command;
  what.environment = options.environment;
  what.python = true;
  what.code_options.jobs = io.jobs;
  what.data = digest_all(options.data, io);
  const fingerprint::Fingerprint captured = fingerprint::capture(what);
  if (captured.code) {
    say_code(*captured.code, io);
  } else {
    io.say("no git repository here: the code is not captured");
  }
  const bool again = std::filesystem::exists(options.output / fingerprint::kFileName);
  fingerprint::Record record;
  record.kind = again ? "resume" : "start";
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
      "that look like secrets are redacted.");
  describe_capture(command, *options);
  command.example("repro capture -o runs/a --data train=data/train",
                  "writes runs/a/fingerprint.json with a digest of the training data");
  command.on_run([options](Io& io) { return run(*options, io); });
}

}  // namespace reprise::repro
