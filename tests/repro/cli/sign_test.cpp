// `repro keygen`, `sign` and `verify` as processes.
#include "ckpt/base/json.h"
#include "tests/repro/shell.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace reprise {
namespace {

using namespace testing_shell;
using testing::HasSubstr;

Outcome repro(const fs::path& directory, const std::string& arguments) {
  return shell(directory, std::string(REPRISE_BIN_REPRO) + " " + arguments);
}

class Sign : public testing::Test {
 protected:
  void SetUp() override {
    put(scratch_ / "repo/train.py", "print(1)\n");
    must(scratch_ / "repo", "git init -q && git add -A && git commit -qm first");
    ASSERT_EQ(repro(scratch_ / "repo", "capture -o ../run").code, 0);
    put(scratch_ / "run/ckpt.h5", "weights");
    ASSERT_EQ(repro(scratch_.path(), "keygen k --type ed25519").code, 0);
    ASSERT_EQ(repro(scratch_.path(), "keygen other --type ed25519").code, 0);
  }
  Scratch scratch_;
};

TEST_F(Sign, ASignedRunVerifiesUntilAnythingChanges) {
  ASSERT_EQ(repro(scratch_.path(), "sign run --key k.key").code, 0);
  const Outcome good = repro(scratch_.path(), "verify run --key k.pub --json");
  EXPECT_EQ(good.code, 0) << good.out;
  EXPECT_EQ(parse_json(good.out)["ok"], true);

  const Outcome other = repro(scratch_.path(), "verify run --key other.pub");
  EXPECT_EQ(other.code, 1);
  EXPECT_THAT(other.out, HasSubstr("signed with another key"));

  put(scratch_ / "run/ckpt.h5", "Weights");
  const Outcome altered = repro(scratch_.path(), "verify run --key k.pub");
  EXPECT_EQ(altered.code, 1);
  EXPECT_THAT(altered.out, HasSubstr("ckpt.h5: altered"));
  put(scratch_ / "run/ckpt.h5", "weights");

  put(scratch_ / "run/new.h5", "");
  EXPECT_EQ(repro(scratch_.path(), "verify run --key k.pub").code, 1);
  EXPECT_EQ(repro(scratch_.path(), "verify run --key k.pub --ignore-unsigned").code, 0);
  fs::remove(scratch_ / "run/new.h5");
  fs::remove(scratch_ / "run/ckpt.h5");
  EXPECT_THAT(repro(scratch_.path(), "verify run --key k.pub").out, HasSubstr("missing"));
}

// A link says where to read; a signature over the run says nothing about what lies elsewhere.
TEST_F(Sign, LinksOutOfTheRunAreNeitherSignedNorOverlooked) {
  put(scratch_ / "elsewhere.h5", "other weights");
  must(scratch_.path(), "ln -s ckpt.h5 run/best && ln -s run run/self");
  ASSERT_EQ(repro(scratch_.path(), "sign run --key k.key").code, 13) << "run/self leads nowhere";
  must(scratch_.path(), "rm run/self");
  ASSERT_EQ(repro(scratch_.path(), "sign run --key k.key").code, 0) << "a link within the run";
  EXPECT_EQ(repro(scratch_.path(), "verify run --key k.pub").code, 0);

  must(scratch_.path(), "ln -s ../elsewhere.h5 run/newest.h5");
  const Outcome added = repro(scratch_.path(), "verify run --key k.pub");
  EXPECT_EQ(added.code, 1);
  EXPECT_THAT(added.out, HasSubstr("newest.h5: not signed"));
  const Outcome refused = repro(scratch_.path(), "sign run --key k.key");
  EXPECT_EQ(refused.code, 13);
  EXPECT_THAT(refused.out, HasSubstr("run/newest.h5: a link to what is no file of the run"));
  // In place of a file that was signed.
  must(scratch_.path(), "rm run/newest.h5 run/ckpt.h5 && ln -s ../elsewhere.h5 run/ckpt.h5");
  const Outcome replaced = repro(scratch_.path(), "verify run --key k.pub");
  EXPECT_EQ(replaced.code, 1);
  EXPECT_THAT(replaced.out, HasSubstr("ckpt.h5: signed, but missing"));
}

TEST_F(Sign, AnUnsignedRunIsWholeButNotSigned) {
  EXPECT_EQ(repro(scratch_.path(), "verify run").code, 0);
  const Outcome outcome = repro(scratch_.path(), "verify run --key k.pub");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.out, HasSubstr("not signed"));
}

TEST_F(Sign, VerifySeesATamperedSnapshotWithoutASignature) {
  must(scratch_.path(), "printf x >> run/snapshot.zip");
  const Outcome outcome = repro(scratch_.path(), "verify run");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.out, HasSubstr("FAIL  snapshot.zip"));
}

TEST_F(Sign, AMalformedEnvelopeIsCorrupt) {
  put(scratch_ / "run/attestation.dsse.json", "{\"payload\": 1}");
  EXPECT_EQ(repro(scratch_.path(), "verify run --key k.pub").code, 12);
  put(scratch_ / "run/attestation.dsse.json", "not json");
  EXPECT_EQ(repro(scratch_.path(), "verify run --key k.pub").code, 12);
}

TEST_F(Sign, PrivateKeysInsideWhatIsSignedAreRefused) {
  must(scratch_.path(), "cp -p k.key run/k.key && mkdir model && cp -p k.key model/k.key");
  const Outcome outcome = repro(scratch_.path(), "sign run --key run/k.key");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.out, HasSubstr("keep private keys elsewhere"));
  EXPECT_EQ(repro(scratch_.path(), "sign model --key model/k.key").code, 2);
  EXPECT_EQ(repro(scratch_.path(), "keygen run/new").code, 2);
  EXPECT_FALSE(fs::exists(scratch_ / "run/new.key"));
}

TEST_F(Sign, KeysAreSaidToBeWhatTheyAre) {
  const auto expect = [&](const std::string& command, int code, const char* says) {
    const Outcome outcome = repro(scratch_.path(), command);
    EXPECT_EQ(outcome.code, code) << command;
    EXPECT_THAT(outcome.out, HasSubstr(says)) << command;
  };
  EXPECT_EQ(must(scratch_.path(), "stat -c %a k.key"), "600");
  expect("sign run --key k.pub", 12, "this is a public key: sign with the .key file");
  expect("verify run --key k.key", 12, "this is a private key: verify with the .pub file");
  expect("keygen k", 2, "a key is never replaced");
  expect("keygen nowhere/k", 10, "nowhere: no such directory; make one that is yours alone");
  expect("sign run --key nowhere.key", 10, "repro keygen makes a pair of keys");
  must(scratch_.path(), "cp k.key open.key && chmod 640 open.key");
  expect("sign run --key open.key", 2, "chmod 600 open.key");
  must(scratch_.path(), "openssl genrsa -out rsa.key 2048 2>/dev/null && chmod 600 rsa.key");
  expect("sign run --key rsa.key", 12, "rsa.key");
  EXPECT_FALSE(fs::exists(scratch_ / "run/attestation.dsse.json"));
}

// One byte of what was signed, or of the signature, or another directory.
TEST_F(Sign, AlteredPayloadsAndOtherRunsAreRefused) {
  ASSERT_EQ(repro(scratch_.path(), "sign run --key k.key").code, 0);
  const fs::path envelope = scratch_ / "run/attestation.dsse.json";
  const Json whole = parse_json(get(envelope));
  Json altered = whole;
  std::string payload = whole["payload"].get<std::string>();
  payload[payload.size() / 2] = payload[payload.size() / 2] == 'A' ? 'B' : 'A';
  altered["payload"] = payload;
  put(envelope, altered.dump());
  EXPECT_EQ(repro(scratch_.path(), "verify run --key k.pub").code, 1);
  altered = whole;
  altered["payloadType"] = "text/plain";
  put(envelope, altered.dump());
  EXPECT_EQ(repro(scratch_.path(), "verify run --key k.pub").code, 1);
  put(envelope, whole.dump());
  ASSERT_EQ(repro(scratch_.path(), "verify run --key k.pub").code, 0);

  ASSERT_EQ(repro(scratch_ / "repo", "capture -o ../other-run").code, 0);
  put(scratch_ / "other-run/ckpt.h5", "weights");
  must(scratch_.path(), "cp run/attestation.dsse.json other-run/");
  const Outcome other = repro(scratch_.path(), "verify other-run --key k.pub");
  EXPECT_EQ(other.code, 1);
  EXPECT_THAT(other.out, HasSubstr("fingerprint.json: altered"));
}

TEST_F(Sign, AStatementIsSealedBesideIt) {
  put(scratch_ / "verdict.json",
      R"({"_type": "https://in-toto.io/Statement/v1", "subject": [], "predicateType": "t"})");
  ASSERT_EQ(repro(scratch_.path(), "sign verdict.json --key k.key").code, 0);
  EXPECT_EQ(repro(scratch_.path(), "verify verdict.dsse.json --key k.pub").code, 0);
  EXPECT_EQ(repro(scratch_.path(), "verify verdict.dsse.json --key other.pub").code, 1);
  EXPECT_EQ(repro(scratch_.path(), "verify verdict.dsse.json").code, 2) << "no key given";
  put(scratch_ / "plain.json", "{}");
  EXPECT_EQ(repro(scratch_.path(), "sign plain.json --key k.key").code, 12);
}

TEST_F(Sign, ACheckpointDirectoryGetsAModelSigningBundle) {
  ASSERT_EQ(repro(scratch_.path(), "keygen e").code, 0);
  put(scratch_ / "model/w.h5", "weights");
  ASSERT_EQ(repro(scratch_.path(), "sign model --key e.key").code, 0);
  EXPECT_EQ(repro(scratch_.path(), "verify model --key e.pub").code, 0);
  put(scratch_ / "model/w.h5", "other");
  EXPECT_EQ(repro(scratch_.path(), "verify model --key e.pub").code, 1);
  EXPECT_EQ(repro(scratch_.path(), "sign model --key k.key").code, 2) << "Ed25519";
}

}  // namespace
}  // namespace reprise
