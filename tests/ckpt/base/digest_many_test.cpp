#include "ckpt/base/error.h"
#include "ckpt/base/sha256_many.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace reprise {
namespace {

std::vector<Digest> digests_of(const std::vector<Bytes>& inputs) {
  std::vector<Digest> out(inputs.size());
  std::size_t at = 0;
  sha256_many(
      [&]() -> std::optional<DigestJob> {
        if (at == inputs.size()) return std::nullopt;
        const std::size_t id = at++;
        return DigestJob{id, inputs[id]};
      },
      [&](std::size_t id, const Digest& digest) { out[id] = digest; });
  return out;
}

class Sha256Many : public testing::Test {
 protected:
  Sha256Many() : bytes_(1u << 18) {
    for (std::byte& byte : bytes_) byte = static_cast<std::byte>(random_());
  }
  Bytes piece(std::size_t longest) {
    const std::size_t length = random_() % (longest + 1);
    return Bytes(bytes_).subspan(random_() % (bytes_.size() - length), length);
  }

  std::mt19937 random_{7};
  std::vector<std::byte> bytes_;
};

// 0 to 40 inputs: lanes that stay empty, that are full, and that are filled again and again.
TEST_F(Sha256Many, EqualsOpenSslForAnyNumberAndLength) {
  for (const std::size_t longest : {130u, 5'000u, 200'000u}) {
    for (std::size_t count = 0; count <= 40; ++count) {
      std::vector<Bytes> inputs;
      for (std::size_t i = 0; i < count; ++i) inputs.push_back(piece(longest));
      const auto found = digests_of(inputs);
      for (std::size_t i = 0; i < count; ++i) {
        ASSERT_EQ(found[i], sha256(inputs[i])) << count << " inputs, " << inputs[i].size();
      }
    }
  }
}

// Padding takes one block or two: every length around the border, in every lane.
TEST_F(Sha256Many, EqualsOpenSslForEveryShortLength) {
  std::vector<Bytes> inputs;
  for (std::size_t length = 0; length <= 200; ++length)
    inputs.push_back(Bytes(bytes_).first(length));
  const auto found = digests_of(inputs);
  for (std::size_t i = 0; i < inputs.size(); ++i) EXPECT_EQ(found[i], sha256(inputs[i])) << i;
}

TEST_F(Sha256Many, ErrorOfTheTakerComesThrough) {
  std::size_t given = 0;
  EXPECT_THROW(sha256_many(
                   [&]() -> std::optional<DigestJob> {
                     if (given == 20) return std::nullopt;
                     return DigestJob{given++, Bytes(bytes_).first(1000)};
                   },
                   [](std::size_t, const Digest&) { fail(Code::kCorrupt, "differs"); }),
               Error);
}

}  // namespace
}  // namespace reprise
