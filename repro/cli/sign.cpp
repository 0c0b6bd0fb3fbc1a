#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/base/json.h"
#include "repro/attest/dsse.h"
#include "repro/attest/model_signing.h"
#include "repro/attest/run_attestation.h"
#include "repro/cli/commands.h"
#include "repro/fingerprint/fingerprint.h"

#include <memory>

namespace reprise::repro {
namespace {

namespace fs = std::filesystem;

struct SignOptions {
  fs::path target;
  fs::path key;
  fs::path output;
  std::string format = "auto";
};

constexpr std::uint64_t kStatementLimit = 64u << 20;

void require_key_elsewhere(const SignOptions& options) {
  attest::require_outside_runs(options.key);
  const fs::path relative =
      fs::weakly_canonical(fs::absolute(options.key))
          .lexically_relative(fs::weakly_canonical(fs::absolute(options.target)));
  if (!relative.empty() && *relative.begin() != "..") {
    fail(Code::kUsage, "{}: lies in what it would sign; keep private keys elsewhere",
         options.key.native());
  }
}

std::string format_of(const SignOptions& options) {
  if (options.format != "auto") return options.format;
  if (fs::is_directory(options.target)) {
    return fs::exists(options.target / fingerprint::kFileName) ? "run" : "model";
  }
  return "statement";
}

int run(const SignOptions& options, Io& io) {
  if (!fs::exists(options.target)) {
    fail(Code::kNotFound, "{}: no such file or directory", options.target.native());
  }
  if (!fs::exists(options.key)) {
    fail(Code::kNotFound, "--key: {}: no such file; repro keygen makes a pair of keys",
         printable(options.key.native()));
  }
  require_key_elsewhere(options);
  const attest::PrivateKey key = attest::PrivateKey::load(options.key);
  const std::string format = format_of(options);
  fs::path output = options.output;
  Json signed_document;
  if (format == "run") {
    const Json statement = fingerprint::load(options.target);
    if (output.empty()) output = options.target / attest::kRunAttestation;
    signed_document =
        attest::sign_run(options.target, require_string(statement, "predicateType", "fingerprint"),
                         statement["predicate"], key, io.jobs, io.progress());
  } else if (format == "model") {
    if (output.empty()) output = options.target / "model.sig";
    signed_document = attest::sign_model(options.target, output, key, {io.jobs, io.progress()});
  } else {
    const std::string text = read_text(options.target, kStatementLimit);
    const Json statement = [&] {
      try {
        return parse_json(text);
      } catch (const Error& error) {
        throw error.at(options.target.native());
      }
    }();
    if (require_string(statement, "_type", options.target.native()) !=
        "https://in-toto.io/Statement/v1") {
      fail(Code::kUsage, "{}: no in-toto statement; sign a run, a directory or a statement",
           options.target.native());
    }
    if (output.empty()) output = fs::path(options.target).replace_extension(".dsse.json");
    signed_document = attest::seal(attest::kInTotoPayload, text, key);
  }
  write_text(output, dump_json(signed_document) + "\n");
  if (io.json) {
    io.print_json({{"signature", output.native()},
                   {"format", format},
                   {"algorithm", attest::to_string(key.kind())},
                   {"key", key.public_key().id()}});
  } else {
    io.print("{}\n", output.native());
  }
  return 0;
}

}  // namespace

void add_sign(CommandLine& app) {
  auto options = std::make_shared<SignOptions>();
  Command& command = app.command("sign", "Sign a run, a directory of checkpoints or a statement");
  command.about(
      "A run directory gets attestation.dsse.json: a DSSE envelope around an in-toto statement "
      "that "
      "names every file of the run by SHA-256, with its fingerprint as SLSA provenance. Any other "
      "directory gets model.sig, the OpenSSF model-signing v1.0 bundle that the model_signing tool "
      "verifies (ECDSA keys only). An in-toto statement in a file, such as a replay verdict, gets "
      "an envelope beside it.");
  command.positional("TARGET", options->target, "run directory, directory, or statement");
  command.option("--key", options->key, "private key, from repro keygen")
      .placeholder("FILE")
      .required();
  command.option("-o,--output", options->output, "where the signature goes").placeholder("FILE");
  command.option("--format", options->format, "what to sign TARGET as")
      .placeholder("FORMAT")
      .choices({"auto", "run", "model", "statement"});
  command.example("repro sign runs/a --key ~/keys/release.key",
                  "writes runs/a/attestation.dsse.json");
  command.on_run([options](Io& io) { return run(*options, io); });
}

}  // namespace reprise::repro
