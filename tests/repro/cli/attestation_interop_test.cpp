// Statements and envelopes that `repro` writes, read by packages that others wrote.
#include "ckpt/base/json.h"
#include "ckpt/base/sha256.h"
#include "tests/repro/shell.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace reprise {
namespace {

using namespace testing_shell;
using testing::ElementsAre;

const std::string kRepro = REPRISE_BIN_REPRO;
const std::string kRead = std::string(REPRISE_PYTHON) + " -B " REPRISE_SOURCE_DIR
                                                        "/tests/repro/attest/read_statement.py ";

class AttestationInterop : public testing::Test {
 protected:
  void SetUp() override {
    if (shell("/",
              std::string(REPRISE_PYTHON) + " -c 'import in_toto_attestation, securesystemslib'")
            .code != 0) {
      GTEST_SKIP() << "needs in-toto-attestation and securesystemslib in " REPRISE_PYTHON;
    }
    put(scratch_ / "repo/train.py", "print(1)\n");
    put(scratch_ / "repo/data/a", "1");
    must(scratch_ / "repo",
         "git init -q && echo data > .gitignore && git add -A && git commit -qm first && echo "
         "print'(2)' > train.py");
    must(scratch_ / "repo", kRepro + " run -q -o ../run --data train=data -- python3 train.py");
  }
  Scratch scratch_;
};

TEST_F(AttestationInterop, AFingerprintIsASlsaProvenanceStatement) {
  const Json seen = parse_json(must(scratch_.path(), kRead + "run/fingerprint.json"));
  EXPECT_EQ(seen["type"], "https://slsa.dev/provenance/v1");
  EXPECT_EQ(seen["build_type"], "urn:reprise:run:v1");
  EXPECT_THAT(seen["dependencies"], ElementsAre("code", "data/train"));
  EXPECT_THAT(seen["byproducts"], ElementsAre("code.patch", "snapshot.zip"));
  EXPECT_EQ(seen["subject"]["snapshot.zip"], sha256_file(scratch_ / "run/snapshot.zip").hex());
}

TEST_F(AttestationInterop, EnvelopesOfEveryKindOfKeyAreVerified) {
  for (const std::string kind : {"ed25519", "ecdsa-p256", "ecdsa-p384"}) {
    must(scratch_.path(), kRepro + " keygen " + kind + " --type " + kind);
    must(scratch_.path(), kRepro + " sign run --key " + kind + ".key");
    const fs::path envelope = scratch_ / "run/attestation.dsse.json";
    const std::string read = kRead + "run/attestation.dsse.json " + kind + ".pub";
    const Json seen = parse_json(must(scratch_.path(), read));
    EXPECT_EQ(seen["type"], "https://slsa.dev/provenance/v1");
    EXPECT_EQ(seen["subject"]["fingerprint.json"],
              sha256_file(scratch_ / "run/fingerprint.json").hex());
    Json altered = parse_json(get(envelope));
    std::string& payload = altered["payload"].get_ref<std::string&>();
    payload[40] = payload[40] == 'A' ? 'B' : 'A';
    put(envelope, altered.dump());
    EXPECT_NE(shell(scratch_.path(), read).code, 0) << kind;
    fs::remove(envelope);
  }
}

}  // namespace
}  // namespace reprise
