// Keys, envelopes and bundles, with openssl and the model_signing package as judges.
#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "repro/attest/base64.h"
#include "repro/attest/dsse.h"
#include "repro/attest/key.h"
#include "repro/attest/model_signing.h"
#include "tests/repro/shell.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <functional>

namespace reprise::attest {
namespace {

using namespace testing_shell;
using testing::HasSubstr;

constexpr KeyKind kKinds[] = {KeyKind::kEd25519, KeyKind::kEcdsaP256, KeyKind::kEcdsaP384};

Code code_thrown(const std::function<void()>& body, std::string* message = nullptr) {
  try {
    body();
  } catch (const Error& error) {
    if (message != nullptr) *message = error.what();
    return error.code();
  }
  return Code{0};
}

TEST(Base64, Rfc4648VectorsAndStrictness) {
  const std::pair<std::string_view, std::string_view> vectors[] = {{"", ""},
                                                                   {"f", "Zg=="},
                                                                   {"fo", "Zm8="},
                                                                   {"foo", "Zm9v"},
                                                                   {"foob", "Zm9vYg=="},
                                                                   {"fooba", "Zm9vYmE="},
                                                                   {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : vectors) {
    EXPECT_EQ(to_base64(as_bytes(plain)), encoded);
    EXPECT_EQ(from_base64(encoded), plain);
  }
  for (const char* bad :
       {"Zg=", "Zg", "Z===", "====", "Zm9v\n", "Zh==", "Zm9=", "Zg==Zg==", "Zm9*"}) {
    EXPECT_EQ(code_thrown([&] { from_base64(bad); }), Code::kCorrupt) << bad;
  }
}

TEST(Dsse, PreAuthenticationEncodingIsTheProtocolsExample) {
  EXPECT_EQ(pre_authentication_encoding("http://example.com/HelloWorld", "hello world"),
            "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
}

TEST(Key, OpensslVerifiesOurSignaturesAndWeVerifyItsOwn) {
  for (const KeyKind kind : kKinds) {
    const Scratch scratch;
    const PrivateKey key = PrivateKey::generate(kind);
    key.save(scratch / "k.key");
    write_text(scratch / "k.pub", key.public_key().pem());
    put(scratch / "message", "hello");
    put(scratch / "ours", key.sign(as_bytes("hello")));
    const std::string digest = kind == KeyKind::kEcdsaP256   ? "-digest sha256"
                               : kind == KeyKind::kEcdsaP384 ? "-digest sha384"
                                                             : "";
    must(scratch.path(), "openssl pkeyutl -verify -pubin -inkey k.pub -rawin " + digest +
                             " -in message -sigfile ours");
    must(scratch.path(),
         "openssl pkeyutl -sign -inkey k.key -rawin " + digest + " -in message -out theirs");
    const PublicKey loaded = PublicKey::load(scratch / "k.pub");
    const std::string theirs = get(scratch / "theirs");
    EXPECT_TRUE(loaded.verify(as_bytes("hello"), as_bytes(theirs))) << to_string(kind);
    EXPECT_FALSE(loaded.verify(as_bytes("hellO"), as_bytes(theirs)));
    EXPECT_FALSE(loaded.verify(as_bytes("hello"), as_bytes("")));
    EXPECT_FALSE(
        PrivateKey::generate(kind).public_key().verify(as_bytes("hello"), as_bytes(theirs)));
    EXPECT_EQ(loaded.id() + "\n",
              must(scratch.path(),
                   "openssl pkey -pubin -in k.pub -outform DER | sha256sum | cut -c1-64") +
                  "\n");
  }
}

TEST(Key, PrivateFilesAreForTheirOwnerAndNeverReplaced) {
  const Scratch scratch;
  const PrivateKey key = PrivateKey::generate(KeyKind::kEd25519);
  const mode_t old = umask(0);
  key.save(scratch / "k.key");
  umask(old);
  struct stat status {};
  ASSERT_EQ(stat((scratch / "k.key").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  EXPECT_EQ(code_thrown([&] { key.save(scratch / "k.key"); }), Code::kUsage);
  ASSERT_EQ(chmod((scratch / "k.key").c_str(), 0640), 0);
  std::string message;
  EXPECT_EQ(code_thrown([&] { PrivateKey::load(scratch / "k.key"); }, &message), Code::kUsage);
  EXPECT_THAT(message, HasSubstr("chmod 600"));
  put(scratch / "run/fingerprint.json", "{}");
  fs::create_directories(scratch / "run/deep");
  EXPECT_EQ(code_thrown([&] { key.save(scratch / "run/deep/k.key"); }), Code::kUsage);
  EXPECT_FALSE(fs::exists(scratch / "run/deep/k.key"));
}

TEST(Key, OtherAlgorithmsAndOtherFilesAreRefused) {
  const Scratch scratch;
  must(scratch.path(),
       "openssl genrsa -out rsa.key 2048 && openssl pkey -in rsa.key -pubout -out rsa.pub");
  must(scratch.path(),
       "openssl ecparam -name secp256k1 -genkey -noout -out k1.key && "
       "openssl pkey -in k1.key -pubout -out k1.pub && chmod 600 *.key");
  std::string message;
  EXPECT_EQ(code_thrown([&] { PublicKey::load(scratch / "rsa.pub"); }, &message), Code::kCorrupt);
  EXPECT_THAT(message, HasSubstr("RSA"));
  EXPECT_EQ(code_thrown([&] { PrivateKey::load(scratch / "rsa.key"); }), Code::kCorrupt);
  EXPECT_EQ(code_thrown([&] { PublicKey::load(scratch / "k1.pub"); }, &message), Code::kCorrupt);
  EXPECT_THAT(message, HasSubstr("secp256k1"));
  PrivateKey::generate(KeyKind::kEd25519).save(scratch / "e.key");
  EXPECT_EQ(code_thrown([&] { PublicKey::load(scratch / "e.key"); }, &message), Code::kCorrupt);
  EXPECT_THAT(message, HasSubstr("private key"));
  must(scratch.path(),
       "openssl pkey -in e.key -aes256 -passout pass:x -out enc.key && chmod 600 enc.key");
  EXPECT_EQ(code_thrown([&] { PrivateKey::load(scratch / "enc.key"); }, &message), Code::kCorrupt);
  EXPECT_THAT(message, HasSubstr("encrypted"));
  EXPECT_EQ(code_thrown([&] { PublicKey::load(scratch / "none"); }), Code::kNotFound);
}

const char* const kStatement =
    R"({"_type": "https://in-toto.io/Statement/v1", "subject": [], "predicateType": "x"})";

TEST(Dsse, OnlyTheRightKeyOverTheRightContentVerifies) {
  for (const KeyKind kind : kKinds) {
    const PrivateKey key = PrivateKey::generate(kind);
    const Json sealed = seal(kInTotoPayload, kStatement, key);
    const auto verify = [&](const Json& envelope, const PublicKey& with) {
      return code_thrown([&] { verified_statement(open_envelope(envelope, "e"), with, "e"); });
    };
    EXPECT_EQ(verify(sealed, key.public_key()), Code{0});
    EXPECT_EQ(verify(sealed, PrivateKey::generate(kind).public_key()), Code::kNo);
    Json altered = sealed;
    altered["payload"] = to_base64(as_bytes(std::string(kStatement) + " "));
    EXPECT_EQ(verify(altered, key.public_key()), Code::kNo);
    altered = sealed;
    altered["payloadType"] = "text/plain";
    EXPECT_EQ(verify(altered, key.public_key()), Code::kNo);
    altered = sealed;
    altered["signatures"] = Json::array();
    EXPECT_EQ(verify(altered, key.public_key()), Code::kCorrupt);
    altered = sealed;
    altered["signatures"][0]["sig"] = "?";
    EXPECT_EQ(verify(altered, key.public_key()), Code::kCorrupt);
    altered.erase("payload");
    EXPECT_EQ(verify(altered, key.public_key()), Code::kCorrupt);
    // A good signature over what is no statement is still no statement.
    EXPECT_EQ(verify(seal("text/plain", "hello", key), key.public_key()), Code::kCorrupt);
    EXPECT_EQ(verify(seal(kInTotoPayload, "hello", key), key.public_key()), Code::kCorrupt);
  }
}

TEST(Dsse, OneGoodSignatureAmongOthersIsEnough) {
  const PrivateKey a = PrivateKey::generate(KeyKind::kEcdsaP256);
  const PrivateKey b = PrivateKey::generate(KeyKind::kEd25519);
  Json sealed = seal(kInTotoPayload, kStatement, a);
  sealed["signatures"].push_back(seal(kInTotoPayload, kStatement, b)["signatures"][0]);
  for (const PrivateKey& key : {a, b}) {
    EXPECT_NO_THROW(verified_statement(open_envelope(sealed, "e"), key.public_key(), "e"));
  }
}

// A directory as a checkpoint is one, with names whose order depends on how paths are compared.
void make_model(const fs::path& directory) {
  put(directory / "a.bin", "weights\n");
  put(directory / "a/z", "inside\n");
  put(directory / "sub/deep/b.bin", std::string("\0\1", 2));
  put(directory / "empty", "");
  put(directory / "caf\xc3\xa9", "utf-8\n");
  put(directory / ".git/config", "ignored\n");
}

class ModelSigning : public testing::Test {
 protected:
  ModelSigning() { make_model(scratch_ / "model"); }

  void use_key(KeyKind kind) {
    key_ = PrivateKey::generate(kind);
    fs::remove(scratch_ / "k.key");
    key_->save(scratch_ / "k.key");
    write_text(scratch_ / "k.pub", key_->public_key().pem());
  }
  void sign() {
    write_text(signature_, dump_json(sign_model(scratch_ / "model", signature_, *key_)));
  }
  Deviations verify(const PublicKey& key) {
    return verify_model(scratch_ / "model", parse_json(get(signature_)), signature_, key);
  }
  static std::string tool() { return std::string(REPRISE_PYTHON) + " -m model_signing "; }
  static bool tool_is_there() {
    return fs::exists(REPRISE_PYTHON) &&
           shell("/tmp", std::string(REPRISE_PYTHON) + " -c 'import model_signing'").code == 0;
  }

  Scratch scratch_;
  fs::path signature_ = scratch_ / "model/model.sig";
  std::optional<PrivateKey> key_;
};

TEST_F(ModelSigning, TheRealToolVerifiesOurBundle) {
  if (!tool_is_there()) GTEST_SKIP() << "needs model_signing in " REPRISE_PYTHON;
  for (const KeyKind kind : {KeyKind::kEcdsaP256, KeyKind::kEcdsaP384}) {
    use_key(kind);
    sign();
    const std::string verify =
        tool() + "verify key model --public_key k.pub --signature model/model.sig";
    EXPECT_THAT(must(scratch_.path(), verify), HasSubstr("Verification succeeded"));
    put(scratch_ / "model/a/z", "altered\n");
    EXPECT_NE(shell(scratch_.path(), verify).code, 0);
    put(scratch_ / "model/a/z", "inside\n");
  }
}

TEST_F(ModelSigning, WeVerifyTheRealToolsBundle) {
  if (!tool_is_there()) GTEST_SKIP() << "needs model_signing in " REPRISE_PYTHON;
  use_key(KeyKind::kEcdsaP384);
  must(scratch_.path(), tool() + "sign key model --private_key k.key --signature model/model.sig");
  EXPECT_TRUE(verify(key_->public_key()).none());
  put(scratch_ / "model/a/z", "altered\n");
  put(scratch_ / "model/new", "");
  fs::remove(scratch_ / "model/empty");
  const Deviations deviations = verify(key_->public_key());
  EXPECT_THAT(deviations.altered, testing::ElementsAre("a/z"));
  EXPECT_THAT(deviations.missing, testing::ElementsAre("empty"));
  EXPECT_THAT(deviations.unsigned_files, testing::ElementsAre("new"));
}

TEST_F(ModelSigning, AnotherKeyAlteredPayloadAndOtherAlgorithmsAreRefused) {
  use_key(KeyKind::kEcdsaP256);
  sign();
  const PublicKey key = key_->public_key();
  EXPECT_TRUE(verify(key).none());
  EXPECT_EQ(code_thrown([&] { verify(PrivateKey::generate(KeyKind::kEcdsaP256).public_key()); }),
            Code::kNo);
  const Json bundle = parse_json(get(signature_));
  const auto with = [&](const std::function<void(Json&)>& change) {
    Json changed = bundle;
    change(changed);
    write_text(signature_, dump_json(changed));
    return code_thrown([&] { verify(key); });
  };
  // Without the hint, the signature itself has to tell.
  EXPECT_EQ(with([](Json& b) { b["verificationMaterial"]["publicKey"].erase("hint"); }), Code{0});
  const std::string payload = from_base64(bundle["dsseEnvelope"]["payload"].get<std::string>());
  EXPECT_EQ(
      with([&](Json& b) { b["dsseEnvelope"]["payload"] = to_base64(as_bytes(payload + "\n")); }),
      Code::kNo);
  EXPECT_EQ(with([](Json& b) {
              b["verificationMaterial"] = {{"x509CertificateChain", Json::object()}};
            }),
            Code::kUnsupported);
  EXPECT_EQ(with([](Json& b) { b["mediaType"] = "other"; }), Code::kUnsupported);
  EXPECT_EQ(with([](Json& b) { b.erase("dsseEnvelope"); }), Code::kCorrupt);
  // Signed with the right key, and still not what it claims.
  const auto resealed = [&](const std::function<void(Json&)>& change) {
    Json statement = parse_json(payload);
    change(statement);
    return with(
        [&](Json& b) { b["dsseEnvelope"] = seal(kInTotoPayload, dump_json(statement), *key_); });
  };
  EXPECT_EQ(resealed([](Json& s) { s["predicate"]["resources"].erase(0); }), Code::kCorrupt);
  EXPECT_EQ(resealed([](Json& s) { s["predicate"]["serialization"]["hash_type"] = "md5"; }),
            Code::kUnsupported);
  EXPECT_EQ(resealed([](Json& s) { s["predicateType"] = "https://example.org"; }),
            Code::kUnsupported);
  EXPECT_EQ(resealed([](Json& s) { s["subject"] = Json::array(); }), Code::kCorrupt);
}

TEST_F(ModelSigning, ASignatureOverAnotherDirectorySaysWhatDiffers) {
  use_key(KeyKind::kEcdsaP256);
  sign();
  put(scratch_ / "other/a.bin", "weights\n");
  const Deviations deviations =
      verify_model(scratch_ / "other", parse_json(get(signature_)), signature_, key_->public_key());
  EXPECT_EQ(deviations.missing.size(), 4u);
  EXPECT_FALSE(deviations.none());
}

TEST_F(ModelSigning, WhatTheFormatCannotCoverIsRefused) {
  use_key(KeyKind::kEd25519);
  EXPECT_EQ(code_thrown([&] { sign(); }), Code::kUsage);
  use_key(KeyKind::kEcdsaP256);
  fs::create_symlink("a.bin", scratch_ / "model/link");
  EXPECT_EQ(code_thrown([&] { sign(); }), Code::kUnsupported);
  fs::remove(scratch_ / "model/link");
  put(scratch_ / "model/latin-\xe9", "");
  EXPECT_EQ(code_thrown([&] { sign(); }), Code::kUnsupported);
}

}  // namespace
}  // namespace reprise::attest
