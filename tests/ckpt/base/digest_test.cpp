#include "ckpt/base/error.h"
#include "ckpt/base/sha256.h"
#include "ckpt/base/uuid.h"

#include <gtest/gtest.h>

#include <set>

namespace reprise {
namespace {

// FIPS 180-4 examples.
TEST(Sha256, StandardVectors) {
  EXPECT_EQ(sha256("").hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc").hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq").hex(),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256(std::string(1'000'000, 'a')).hex(),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PiecesEqualTheWholeAndTheObjectStartsAnew) {
  Sha256 hash;
  EXPECT_EQ(hash.update("a").update("").update("bc").finish(), sha256("abc"));
  EXPECT_EQ(hash.finish(), sha256(""));
}

TEST(Sha256, HexComesBack) {
  const Digest digest = sha256("abc");
  EXPECT_EQ(Digest::from_hex(digest.hex()), digest);
  EXPECT_THROW(Digest::from_hex("ab"), Error);
  EXPECT_THROW(Digest::from_hex(std::string(64, 'g')), Error);
}

// uuid.uuid5(uuid.NAMESPACE_URL, name) of Python 3.11.
TEST(Uuid, NamesGiveWhatPythonGives) {
  EXPECT_EQ(Uuid::from_url_name("https://example.org").text(),
            "0d092af3-c9f8-531f-9cc3-9db40a0750ef");
  EXPECT_EQ(Uuid::from_url_name("").text(), "1b4db7eb-4057-5ddf-91e0-36dec72071f5");
}

TEST(Uuid, RandomOnesAreOfVersionFourAndDiffer) {
  std::set<Uuid> seen;
  for (int i = 0; i < 1000; ++i) {
    const Uuid uuid = Uuid::random();
    EXPECT_EQ(uuid.text()[14], '4');
    EXPECT_NE(std::string("89ab").find(uuid.text()[19]), std::string::npos);
    seen.insert(uuid);
  }
  EXPECT_EQ(seen.size(), 1000U);
}

TEST(Uuid, ParsesOneFormOnly) {
  const auto uuid = Uuid::parse("6BA7B811-9dad-11d1-80b4-00c04fd430c8");
  ASSERT_TRUE(uuid);
  EXPECT_EQ(uuid->text(), "6ba7b811-9dad-11d1-80b4-00c04fd430c8");
  for (const char* bad :
       {"", "6ba7b8119dad11d180b400c04fd430c8", "{6ba7b811-9dad-11d1-80b4-00c04fd430c8}",
        "6ba7b811-9dad-11d1-80b4-00c04fd430cg", "6ba7b811-9dad-11d1-80b4-00c04fd430c8 "}) {
    EXPECT_FALSE(Uuid::parse(bad)) << bad;
  }
}

}  // namespace
}  // namespace reprise
