#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/base/json.h"
#include "repro/attest/key.h"
#include "repro/cli/commands.h"

#include <memory>

namespace reprise::repro {
namespace {

struct KeygenOptions {
  std::filesystem::path name;
  std::string type = "ecdsa-p256";
};

int run(const KeygenOptions& options, Io& io) {
  using attest::KeyKind;
  KeyKind kind = KeyKind::kEcdsaP256;
  for (const KeyKind candidate : {KeyKind::kEd25519, KeyKind::kEcdsaP256, KeyKind::kEcdsaP384}) {
    if (attest::to_string(candidate) == options.type) kind = candidate;
  }
  std::filesystem::path private_path = options.name;
  private_path += ".key";
  std::filesystem::path public_path = options.name;
  public_path += ".pub";
  if (std::filesystem::exists(public_path)) {
    fail(Code::kUsage, "{}: exists; a key is never replaced: choose another name",
         public_path.native());
  }
  const std::filesystem::path folder = std::filesystem::absolute(private_path).parent_path();
  if (!std::filesystem::is_directory(folder)) {
    fail(Code::kNotFound, "{}: no such directory; make one that is yours alone: mkdir -m 700 {}",
         printable(folder.native()), printable(folder.native()));
  }
  const attest::PrivateKey key = attest::PrivateKey::generate(kind);
  key.save(private_path);
  write_text(public_path, key.public_key().pem());
  if (io.json) {
    io.print_json({{"type", options.type},
                   {"private", private_path.native()},
                   {"public", public_path.native()},
                   {"id", key.public_key().id()}});
  } else {
    io.print("{}\n{}\n", private_path.native(), public_path.native());
    io.say("key id {}: keep {} to yourself, give {} to whoever verifies", key.public_key().id(),
           private_path.native(), public_path.native());
  }
  return 0;
}

}  // namespace

void add_keygen(CommandLine& app) {
  auto options = std::make_shared<KeygenOptions>();
  Command& command = app.command("keygen", "Make a pair of keys to sign and verify with");
  command.about(
      "Writes NAME.key, which only you can read, and NAME.pub. Neither replaces a file that is "
      "there, and the private key is refused inside a run directory. Signatures over checkpoint "
      "directories (model-signing v1.0) need one of the ECDSA types; everything else also takes "
      "Ed25519.");
  command.positional("NAME", options->name, "path of the two files, without their suffix");
  command.option("--type", options->type, "algorithm")
      .placeholder("TYPE")
      .choices({"ed25519", "ecdsa-p256", "ecdsa-p384"});
  command.example("repro keygen ~/keys/release", "writes ~/keys/release.key and .pub");
  command.on_run([options](Io& io) { return run(*options, io); });
}

}  // namespace reprise::repro
