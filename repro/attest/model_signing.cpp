#include "repro/attest/model_signing.h"

#include "ckpt/base/error.h"
#include "repro/attest/dsse.h"

#include <algorithm>

namespace reprise::attest {
namespace {

namespace fs = std::filesystem;

// DO NOT CHANGE: other tools compare these texts.
constexpr std::string_view kBundleType = "application/vnd.dev.sigstore.bundle.v0.3+json";
constexpr std::string_view kPredicateType = "https://model_signing/signature/v1.0";
constexpr std::string_view kStatementType = "https://in-toto.io/Statement/v1";

// Where the signature lies, relative to the directory it signs; empty when outside.
std::string inside(const fs::path& directory, const fs::path& signature) {
  const fs::path relative = fs::weakly_canonical(fs::absolute(signature))
                                .lexically_relative(fs::weakly_canonical(fs::absolute(directory)));
  return relative.empty() || *relative.begin() == ".." ? std::string() : relative.native();
}

std::string model_name(const fs::path& directory) {
  return fs::weakly_canonical(fs::absolute(directory)).filename().native();
}

struct Manifest {
  std::map<std::string, Digest> files;
  std::vector<std::string> ignored;
  Links links = Links::kRefuse;
};

Manifest manifest_of(const Json& statement, std::string_view place) {
  const std::string type = require_string(statement, "predicateType", place);
  if (type != kPredicateType) {
    fail(Code::kUnsupported, "{}: its predicate is '{}', this version verifies {}", place,
         printable(type), kPredicateType);
  }
  const Json& subject = require_array(statement, "subject", place);
  if (subject.size() != 1) fail(Code::kCorrupt, "{}: {} subjects, not 1", place, subject.size());
  const Json& predicate = require_object(statement, "predicate", place);
  const Json& how = require_object(predicate, "serialization", place);
  const std::string method = require_string(how, "method", place);
  const std::string hash = require_string(how, "hash_type", place);
  if (method != "files" || hash != "sha256") {
    fail(Code::kUnsupported,
         "{}: serialized as {} with {}; this version verifies files with sha256", place,
         printable(method), printable(hash));
  }
  Manifest out;
  if (const auto links = how.find("allow_symlinks"); links != how.end() && *links == true) {
    out.links = Links::kFollow;
  }
  if (how.contains("ignore_paths")) {
    for (const Json& path : require_array(how, "ignore_paths", place)) {
      if (!path.is_string()) fail(Code::kCorrupt, "{}: an ignored path that is no text", place);
      out.ignored.push_back(path.get<std::string>());
    }
  }
  Sha256 root;
  for (const Json& resource : require_array(predicate, "resources", place)) {
    const std::string name = require_string(resource, "name", place);
    if (require_string(resource, "algorithm", place) != "sha256") {
      fail(Code::kUnsupported, "{}: {}: a digest other than SHA-256", place, printable(name));
    }
    const Digest digest = Digest::from_hex(require_string(resource, "digest", place));
    root.update(digest.bytes);
    if (!out.files.emplace(name, digest).second) {
      fail(Code::kCorrupt, "{}: {} stands in it twice", place, printable(name));
    }
  }
  const std::string stated =
      require_string(require_object(subject[0], "digest", place), "sha256", place);
  const std::string computed = root.finish().hex();
  if (stated != computed) {
    fail(Code::kCorrupt, "{}: its root digest is {}, its files give {}", place, printable(stated),
         computed);
  }
  return out;
}

// Parts of a path, by which resources are sorted ("a/b" before "a.bin").
bool by_parts(const std::string& a, const std::string& b) {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    // The separator sorts before every other byte.
    const auto key = [](char c) { return c == '/' ? 0 : static_cast<unsigned char>(c) + 1; };
    return key(x) < key(y);
  });
}

}  // namespace

Json sign_model(const fs::path& directory, const fs::path& signature, const PrivateKey& key,
                const ModelOptions& options) {
  if (key.kind() == KeyKind::kEd25519) {
    fail(Code::kUsage,
         "model-signing v1.0 has no Ed25519; sign with an ECDSA key (repro keygen --type "
         "ecdsa-p256)");
  }
  std::vector<std::string> ignored = {".git", ".gitattributes", ".github", ".gitignore"};
  if (const std::string own = inside(directory, signature); !own.empty()) ignored.push_back(own);
  const auto files =
      digest_files(directory, ignored, Links::kRefuse, options.jobs, options.progress);
  std::vector<std::string> names;
  for (const auto& [name, digest] : files) names.push_back(name);
  std::sort(names.begin(), names.end(), by_parts);
  Json resources = Json::array();
  Sha256 root;
  for (const std::string& name : names) {
    const Digest& digest = files.at(name);
    root.update(digest.bytes);
    resources.push_back({{"name", name}, {"algorithm", "sha256"}, {"digest", digest.hex()}});
  }
  const Json statement = {
      {"_type", kStatementType},
      {"subject", Json::array({{{"name", model_name(directory)},
                                {"digest", {{"sha256", root.finish().hex()}}}}})},
      {"predicateType", kPredicateType},
      {"predicate",
       {{"serialization",
         {{"method", "files"},
          {"hash_type", "sha256"},
          {"allow_symlinks", false},
          {"ignore_paths", ignored}}},
        {"resources", std::move(resources)}}}};
  Json envelope = seal(kInTotoPayload, dump_json(statement), key);
  envelope["signatures"][0]["keyid"] = "";  // the key is named by the hint below
  return {{"mediaType", kBundleType},
          {"verificationMaterial",
           {{"publicKey", {{"hint", key.public_key().pem_id()}}}, {"tlogEntries", Json::array()}}},
          {"dsseEnvelope", std::move(envelope)}};
}

Deviations verify_model(const fs::path& directory, const Json& bundle, const fs::path& signature,
                        const PublicKey& key, const ModelOptions& options) {
  const std::string place = signature.native();
  const std::string type = require_string(bundle, "mediaType", place);
  if (type != kBundleType) {
    fail(Code::kUnsupported, "{}: a bundle of type '{}', expected {}", place, printable(type),
         kBundleType);
  }
  const Json& material = require_object(bundle, "verificationMaterial", place);
  if (!material.contains("publicKey")) {
    fail(Code::kUnsupported, "{}: signed with a certificate; this version verifies keys", place);
  }
  const Json& named = require_object(material, "publicKey", place);
  if (const auto hint = named.find("hint"); hint != named.end() && hint->is_string() &&
                                            !hint->get_ref<const std::string&>().empty() &&
                                            *hint != key.pem_id()) {
    fail(Code::kNo, "{}: signed with another key ({}), not with {}", place,
         printable(hint->get<std::string>()), key.pem_id());
  }
  const Envelope envelope = open_envelope(require_object(bundle, "dsseEnvelope", place), place);
  Manifest manifest = manifest_of(verified_statement(envelope, key, place), place);
  if (const std::string own = inside(directory, signature); !own.empty()) {
    manifest.ignored.push_back(own);
  }
  return compare(manifest.files, digest_files(directory, manifest.ignored, manifest.links,
                                              options.jobs, options.progress));
}

}  // namespace reprise::attest
