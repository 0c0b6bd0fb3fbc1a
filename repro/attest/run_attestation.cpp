#include "repro/attest/run_attestation.h"

#include "ckpt/base/error.h"
#include "repro/attest/dsse.h"

#include <array>

namespace reprise::attest {
namespace {

// The envelope itself, and the empty file that a writing process locks.
const std::array<std::string, 2> kIgnored = {kRunAttestation, ".lock"};

}  // namespace

Json sign_run(const std::filesystem::path& run, const std::string& predicate_type,
              const Json& predicate, const PrivateKey& key, unsigned jobs, bool progress) {
  if (const auto out = links_out(run); !out.empty()) {
    fail(Code::kUnsupported,
         "{}: a link to what is no file of the run, which a signature over the run cannot cover; "
         "put the file itself there, or remove the link",
         printable((run / out.front()).native()));
  }
  Json subject = Json::array();
  for (const auto& [name, digest] : digest_files(run, kIgnored, Links::kSkip, jobs, progress)) {
    subject.push_back({{"name", name}, {"digest", {{"sha256", digest.hex()}}}});
  }
  const Json statement = {{"_type", "https://in-toto.io/Statement/v1"},
                          {"subject", std::move(subject)},
                          {"predicateType", predicate_type},
                          {"predicate", predicate}};
  return seal(kInTotoPayload, dump_json(statement), key);
}

Deviations verify_run(const std::filesystem::path& run, const Json& envelope, const PublicKey& key,
                      unsigned jobs, bool progress) {
  const std::string place = (run / kRunAttestation).native();
  const Json statement = verified_statement(open_envelope(envelope, place), key, place);
  std::map<std::string, Digest> was_signed;
  for (const Json& subject : require_array(statement, "subject", place)) {
    const std::string name = require_string(subject, "name", place);
    const std::string digest =
        require_string(require_object(subject, "digest", place), "sha256", place);
    if (!was_signed.emplace(name, Digest::from_hex(digest)).second) {
      fail(Code::kCorrupt, "{}: {} stands in it twice", place, printable(name));
    }
  }
  Deviations found = compare(was_signed, digest_files(run, kIgnored, Links::kSkip, jobs, progress));
  for (std::string& link : links_out(run)) found.unsigned_files.push_back(std::move(link));
  return found;
}

}  // namespace reprise::attest
