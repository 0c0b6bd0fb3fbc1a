#include "ckpt/base/bytes.h"
#include "ckpt/base/byte_reader.h"

#include <gtest/gtest.h>

#include <limits>

namespace reprise {
namespace {

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

TEST(Bytes, ArithmeticThatOverflowsHasNoResult) {
  EXPECT_EQ(checked_add<std::uint64_t>(kMax, 0), kMax);
  EXPECT_FALSE(checked_add<std::uint64_t>(kMax, 1));
  EXPECT_FALSE(checked_multiply<std::uint64_t>(kMax, 2));
  EXPECT_FALSE(checked_multiply<std::int64_t>(std::numeric_limits<std::int64_t>::min(), -1));
  EXPECT_EQ(checked_multiply<std::int64_t>(1 << 30, 1 << 30), std::int64_t{1} << 60);
}

TEST(Bytes, FitsHoldsForEveryValue) {
  EXPECT_TRUE(fits(0, 0, 0));
  EXPECT_TRUE(fits(10, 0, 10));
  EXPECT_TRUE(fits(3, 7, 10));
  EXPECT_FALSE(fits(3, 8, 10));
  EXPECT_FALSE(fits(11, 0, 10));
  EXPECT_FALSE(fits(kMax, 1, 10));
  EXPECT_FALSE(fits(1, kMax, 10));
}

TEST(Bytes, AlignUpStaysWhereItIsAligned) {
  EXPECT_EQ(align_up(0, 64), 0U);
  EXPECT_EQ(align_up(1, 64), 64U);
  EXPECT_EQ(align_up(64, 64), 64U);
}

TEST(ByteReader, ReadsForwardAndNamesTheOffset) {
  const std::string bytes("\x01\x02\x03\x04\x05\x06", 6);
  ByteReader reader(as_bytes(bytes), 100);
  EXPECT_EQ(reader.number<std::uint16_t>("count"), 0x0201);
  EXPECT_EQ(reader.offset_bytes(), 102U);
  EXPECT_EQ(as_text(reader.take(2, "name")), "\x03\x04");
  try {
    reader.number<std::uint32_t>("length");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kCorrupt);
    EXPECT_STREQ(error.what(),
                 "byte 104: length needs 4 bytes, 2 are left; the file is truncated or damaged");
  }
  EXPECT_EQ(reader.remaining(), 2U);
}

TEST(ByteReader, HugeLengthIsRefusedBeforeUse) {
  const std::string bytes("abc");
  ByteReader reader(as_bytes(bytes));
  EXPECT_THROW(reader.take(kMax, "blob"), Error);
  EXPECT_THROW(reader.seek(4), Error);
  reader.seek(3);
  EXPECT_TRUE(reader.at_end());
  EXPECT_EQ(reader.take(0, "nothing").size(), 0U);
}

}  // namespace
}  // namespace reprise
