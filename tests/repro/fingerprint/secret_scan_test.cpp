#include "repro/fingerprint/secret_scan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

namespace reprise::fingerprint {
namespace {

using testing::HasSubstr;
using testing::Not;

// Written in two halves, so that this file does not hold what scanners look for.
const std::string kGitHub = std::string("ghp_") + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8";
const std::string kAws = std::string("AKIA") + "J4XQ7MZ2PLV6WRT3";
const std::string kRandom = std::string("q8Zr2LxV9TbK") + "4mWc7YdP1sGf6HnJ3aQeU5";

std::vector<std::string_view> kinds(const std::string& text) {
  std::vector<std::string_view> out;
  for (const Secret& secret : find_secrets(text)) out.push_back(secret.kind);
  return out;
}

TEST(SecretScan, KnownFormats) {
  EXPECT_THAT(kinds("x = call('" + kGitHub + "')"), testing::ElementsAre("a GitHub token"));
  EXPECT_THAT(kinds(kAws), testing::ElementsAre("an AWS access key"));
  EXPECT_THAT(kinds(std::string("git clone https://me:s3cr") + "3tpw@git.internal/x"),
              testing::ElementsAre("a password in a URL"));
  const std::string pem = std::string("-----BEGIN RSA PRIV") +
                          "ATE KEY-----\nMIIEpAIBAAKCAQEAq8Zr2LxV9TbK4mWc7YdP1sGf6HnJ3aQ\n"
                          "-----END RSA PRIVATE KEY-----\n";
  EXPECT_THAT(kinds(pem), testing::ElementsAre("a private key"));
  EXPECT_EQ(redact("a\n" + pem + "b\n"), "a\n[redacted: a private key]\nb\n");
}

TEST(SecretScan, AssignmentsByNameAndByEntropy) {
  EXPECT_EQ(redact("WANDB_API_KEY=0f3a9c7b1d2e4f5a6b8c\n"),
            "WANDB_API_KEY=[redacted: an API key]\n");
  EXPECT_EQ(redact("{\"password\": \"tr0ub4dor&3x\"}"),
            "{\"password\": \"[redacted: a password]\"}");
  EXPECT_EQ(redact("AWS_SECRET_ACCESS_KEY: " + kRandom + "\n").find(kRandom), std::string::npos);
  EXPECT_EQ(redact("blob = '" + kRandom + "'").find(kRandom), std::string::npos);
  EXPECT_EQ(redact_value("MY_TOKEN", "abc123def456ghi789"), "[redacted: a token]");
  EXPECT_EQ(redact_value("OMP_NUM_THREADS", "8"), "8");
}

TEST(SecretScan, LongTokensGoWhole) {
  std::string web = "eyJhbGciOiJIUzI1NiJ9";
  web += ".eyJ";
  for (int i = 0; i < 200; ++i) web += "aB3x";
  web += ".q8Zr2LxV9TbK4mWc7YdP";
  EXPECT_EQ(redact("x " + web + " y"), "x [redacted: a JSON web token] y");
  std::string key = "sk-";
  for (int i = 0; i < 500; ++i) key += "aB3xQ7kLm9Zp2-";
  EXPECT_EQ(redact("x '" + key + "' y"), "x '[redacted: an API key]' y");
}

TEST(SecretScan, LinesAreCountedFromOne) {
  const std::string text = "a\nb\nkey='" + kGitHub + "'\n";
  const auto secrets = find_secrets(text);
  ASSERT_EQ(secrets.size(), 1u);
  EXPECT_EQ(secrets[0].line, 3u);
  EXPECT_EQ(text.substr(secrets[0].offset, secrets[0].length), kGitHub);
}

TEST(SecretScan, OrdinaryCodeHasNone) {
  for (const char* line : {
           "token = tokenizer.encode(text)[0]",
           "num_tokens = 50257",
           "token_embedding=nn.Embedding(vocab_size, 768)",
           "password = getpass.getpass()",
           "password = os.environ['DB_PASSWORD2']",
           "api_key = \"your-api-key-here-123\"",
           "secret_key: ${SECRET_KEY_1}",
           "sha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'",
           "\"integrity\": \"sha512-a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8a1B2c3D4e5F6==\"",
           "commit = 3f786850e387550fdab836ed7e6dc881de23001b",
           "url = https://example.org:8080/path?x=1",
           "tokens_per_second=12345.6",
           "path = /usr/lib/python3/dist-packages/torch/lib/libtorch_cuda_linalg.so.2.11",
           "if token == 'abc123def456': pass",
           "token = model.next_token2",
           "secret = derive_secret_v2",
           "tokenizer=bert-base-uncased-1234567890",
           "remote = https://user:hunter22@example.org/a.git",
           "bos_token_id=50256, eos_token_id=50256,",
           "name = 'triton_BLOCK-M=128_BLOCK-K=32_BLOCK-N=64_numstages=5_numwarps=4'",
           "proxy = http://user:passwd@proxy:3128",
       }) {
    EXPECT_THAT(kinds(line), testing::IsEmpty()) << line;
  }
}

TEST(SecretScan, BinaryAndUnfinishedInputIsHarmless) {
  std::string bytes;
  unsigned state = 1;
  for (int i = 0; i < 200000; ++i) {
    state = state * 1664525u + 1013904223u;
    bytes += static_cast<char>(state >> 24);
  }
  find_secrets(bytes);
  for (const char* text : {"=", "token", "token=", "token='", "://", "a://b:c@", "eyJ", "eyJa.eyJ",
                           "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "AKIA", "sk-"}) {
    EXPECT_THAT(kinds(text), testing::IsEmpty()) << text;
  }
}

// A hostile file of candidates must not take time in proportion to its square: 2 MB of each in
// seconds, where a look ahead without a limit takes hours.
TEST(SecretScan, CandidatesWithoutEndTakeLinearTime) {
  const std::string armour =
      std::string("-----BEGIN PRIV") + "ATE KEY-----\n" + std::string(40, 'A') + "\n";
  for (const std::string& unit :
       {std::string("=a"), std::string("-eyJ"), std::string("sk-"), std::string("token"),
        std::string("://a:b@"), std::string("'="), armour, std::string("-----BEGIN ")}) {
    std::string text;
    while (text.size() < 2'000'000) text += unit;
    const auto start = std::chrono::steady_clock::now();
    find_secrets(text);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60)) << unit;
  }
}

}  // namespace
}  // namespace reprise::fingerprint
