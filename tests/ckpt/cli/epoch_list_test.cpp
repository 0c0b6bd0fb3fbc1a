#include "ckpt/cli/epoch_list.h"

#include "ckpt/base/error.h"

#include <gtest/gtest.h>

namespace reprise::cli {
namespace {

TEST(EpochList, RangesAreInclusiveAndMayBeOpen) {
  const EpochList list = EpochList::parse("3:5,8,20:");
  for (const std::uint64_t in : {3U, 4U, 5U, 8U, 20U, 1000U}) EXPECT_TRUE(list.contains(in)) << in;
  for (const std::uint64_t out : {0U, 2U, 6U, 7U, 9U, 19U}) EXPECT_FALSE(list.contains(out)) << out;
  EXPECT_TRUE(EpochList::parse(":2").contains(0));
}

TEST(EpochList, OtherTextIsAUsageError) {
  for (const char* text : {"", ",", "3,", "a", "3-5", "-1", "3:x", "1.5", " 3"}) {
    EXPECT_THROW(EpochList::parse(text), Error) << text;
  }
}

}  // namespace
}  // namespace reprise::cli
