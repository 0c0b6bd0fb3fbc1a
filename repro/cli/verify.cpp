#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/base/json.h"
#include "repro/attest/dsse.h"
#include "repro/attest/model_signing.h"
#include "repro/attest/run_attestation.h"
#include "repro/audit/integrity.h"
#include "repro/cli/commands.h"
#include "repro/fingerprint/fingerprint.h"
#include "repro/snapshot/snapshot.h"

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <optional>

namespace reprise::repro {
namespace {

namespace fs = std::filesystem;

struct VerifyOptions {
  fs::path target;
  fs::path key;
  fs::path signature;
  bool ignore_unsigned = false;
};

constexpr std::uint64_t kEnvelopeLimit = 256u << 20;
constexpr std::size_t kNamed = 5;

struct Check {
  std::string what;
  std::string problem;  // empty: whole
  Code code = Code::kNo;
};

// Runs one check: failures are answers here, as long as they speak about the target.
Check check(std::string what, const std::function<void()>& body) {
  try {
    body();
    return {std::move(what), {}, Code::kNo};
  } catch (const Error& error) {
    if (error.code() == Code::kIo || error.code() == Code::kUsage) throw;
    return {std::move(what), error.what(), error.code()};
  }
}

Json read_json(const fs::path& path) {
  try {
    return parse_json(read_text(path, kEnvelopeLimit));
  } catch (const Error& error) {
    if (error.code() != Code::kCorrupt) throw;
    throw error.at(path.native());
  }
}

void require_no_deviations(const attest::Deviations& deviations, const VerifyOptions& options) {
  std::string text;
  const auto add = [&](std::string_view kind, const std::vector<std::string>& paths) {
    for (std::size_t i = 0; i < std::min(kNamed, paths.size()); ++i) {
      text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", printable(paths[i]), kind);
    }
    if (paths.size() > kNamed) text += fmt::format(" and {} more", paths.size() - kNamed);
  };
  add("altered since it was signed", deviations.altered);
  add("signed, but missing", deviations.missing);
  if (!options.ignore_unsigned) add("not signed", deviations.unsigned_files);
  if (!text.empty()) fail(Code::kNo, "{}", text);
}

// Files that the fingerprint names by digest: patch and snapshots.
std::vector<Check> check_byproducts(const fs::path& run, const Json& statement) {
  std::vector<Check> out;
  for (const Json& byproduct : statement["predicate"]["runDetails"]["byproducts"]) {
    const std::string name = require_string(byproduct, "name", "a by-product");
    out.push_back(check(printable(name), [&] {
      if (name.find('/') != std::string::npos || name == "..") {
        fail(Code::kCorrupt, "a by-product outside the run");
      }
      const std::string stated =
          require_string(require_object(byproduct, "digest", name), "sha256", name);
      const std::string found = sha256_file(run / name).hex();
      if (found != stated) {
        fail(Code::kNo, "its SHA-256 is {}, the fingerprint says {}", found, printable(stated));
      }
      if (!name.ends_with(".zip")) return;
      const std::string tree = snapshot::read_tree(run / name);
      const std::string expected =
          require_string(require_object(byproduct, "annotations", name), "tree", name);
      if (tree != expected) {
        fail(Code::kNo, "its tree is {}, the fingerprint says {}", tree, printable(expected));
      }
    }));
  }
  return out;
}

std::vector<Check> check_run(const VerifyOptions& options,
                             const std::optional<attest::PublicKey>& key, Io& io) {
  std::vector<Check> out;
  std::optional<Json> statement;
  out.push_back(
      check(fingerprint::kFileName, [&] { statement = fingerprint::load(options.target); }));
  if (statement) {
    for (Check& found : check_byproducts(options.target, *statement))
      out.push_back(std::move(found));
  }
  for (audit::Finding& found : audit::check_integrity(options.target, io.jobs)) {
    out.push_back({std::move(found.what), std::move(found.problem), found.code});
  }
  const fs::path envelope = options.target / attest::kRunAttestation;
  if (key) {
    out.push_back(check("signature", [&] {
      if (!fs::exists(envelope)) fail(Code::kNo, "{}: the run is not signed", envelope.native());
      require_no_deviations(
          attest::verify_run(options.target, read_json(envelope), *key, io.jobs, io.progress()),
          options);
    }));
  } else if (fs::exists(envelope)) {
    io.say("{}: the run is signed; give --key to verify that", envelope.native());
  }
  return out;
}

// With a signature file that holds a model-signing bundle.
std::vector<Check> check_model(const VerifyOptions& options, const attest::PublicKey& key, Io& io) {
  const fs::path signature =
      options.signature.empty() ? options.target / "model.sig" : options.signature;
  return {check("signature", [&] {
    require_no_deviations(attest::verify_model(options.target, read_json(signature), signature, key,
                                               {io.jobs, io.progress()}),
                          options);
  })};
}

std::vector<Check> check_envelope(const VerifyOptions& options, const attest::PublicKey& key) {
  return {check("signature", [&] {
    const std::string place = options.target.native();
    attest::verified_statement(attest::open_envelope(read_json(options.target), place), key, place);
  })};
}

int run(const VerifyOptions& options, Io& io) {
  if (!fs::exists(options.target)) {
    fail(Code::kNotFound, "{}: no such file or directory", options.target.native());
  }
  std::optional<attest::PublicKey> key;
  if (!options.key.empty()) key = attest::PublicKey::load(options.key);
  const bool directory = fs::is_directory(options.target);
  const bool is_run =
      directory && options.signature.empty() &&
      std::ranges::any_of(std::array{fingerprint::kFileName, "run.json", "ledger.jsonl"},
                          [&](const char* name) { return fs::exists(options.target / name); });
  if (!is_run && !key) {
    fail(Code::kUsage, "{}: no run directory; to verify a signature, give --key",
         options.target.native());
  }
  const std::vector<Check> checks = is_run      ? check_run(options, key, io)
                                    : directory ? check_model(options, *key, io)
                                                : check_envelope(options, *key);
  bool ok = true;
  bool corrupt = false, unsupported = false;
  Json list = Json::array();
  for (const Check& found : checks) {
    ok &= found.problem.empty();
    corrupt |= !found.problem.empty() && found.code == Code::kCorrupt;
    unsupported |= !found.problem.empty() && found.code == Code::kUnsupported;
    list.push_back(
        {{"what", found.what}, {"ok", found.problem.empty()}, {"problem", found.problem}});
    if (!io.json) {
      io.print("{}  {}{}{}\n", found.problem.empty() ? io.green("ok  ") : io.red("FAIL"),
               found.what, found.problem.empty() ? "" : ": ", found.problem);
    }
  }
  if (io.json) io.print_json({{"ok", ok}, {"checks", std::move(list)}});
  if (ok) return 0;
  return static_cast<int>(corrupt ? Code::kCorrupt : unsupported ? Code::kUnsupported : Code::kNo);
}

}  // namespace

void add_verify(CommandLine& app) {
  auto options = std::make_shared<VerifyOptions>();
  Command& command =
      app.command("verify", "Check that a run is whole and signed by whom you trust");
  command.about(
      "For a run: that its fingerprint is well formed, that patch and snapshots are those it "
      "names, "
      "that the ledger's chain is unbroken, and that every checkpoint is whole and has its place "
      "in "
      "the ledger. With --key, also that the run was signed with that key and that no file was "
      "altered, "
      "removed or added since. For any other directory: its model-signing v1.0 bundle. For a file: "
      "the DSSE envelope in it.");
  command.positional("TARGET", options->target, "run directory, directory, or envelope");
  command.option("--key", options->key, "public key (.pub) of whom you trust").placeholder("FILE");
  command
      .option("--signature", options->signature,
              "bundle over a directory; TARGET/model.sig otherwise")
      .placeholder("FILE");
  command.flag("--ignore-unsigned", options->ignore_unsigned,
               "accept files that were added after signing");
  command.example("repro verify runs/a --key release.pub");
  command.exit_code(1, "verification failed: the output says what does not match");
  command.exit_code(12, "a signature, fingerprint, snapshot, ledger or checkpoint is malformed");
  command.exit_code(13, "one of them is of a newer version or of another kind");
  command.on_run([options](Io& io) { return run(*options, io); });
}

}  // namespace reprise::repro
