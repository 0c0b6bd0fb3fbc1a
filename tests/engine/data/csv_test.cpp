#include "engine/data/csv.h"

#include "ckpt/base/error.h"

#include <gmock/gmock.h>

namespace reprise::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Csv, ReadsTheExamplesOfRfc4180) {
  const CsvTable table =
      parse_csv("field_name,b,c\r\n\"aaa\",\"b \r\nbb\",\"c\"\"c\"\r\nzzz, yyy ,\"x,x\"", "t.csv");
  EXPECT_THAT(table.header, ElementsAre("field_name", "b", "c"));
  ASSERT_EQ(table.rows.size(), 2U);
  EXPECT_THAT(table.rows[0], ElementsAre("aaa", "b \r\nbb", "c\"c"));
  EXPECT_THAT(table.rows[1], ElementsAre("zzz", " yyy ", "x,x"));
  EXPECT_THAT(table.lines, ElementsAre(2, 4));
}

TEST(Csv, SkipsByteOrderMarkAndEmptyLines) {
  const CsvTable table = parse_csv("\xef\xbb\xbf\n\na,b\n\r\n1,2\n\n3,\n", "t.csv");
  EXPECT_THAT(table.header, ElementsAre("a", "b"));
  ASSERT_EQ(table.rows.size(), 2U);
  EXPECT_THAT(table.rows[1], ElementsAre("3", ""));
}

TEST(Csv, EmptyFieldsAtTheEndCount) {
  EXPECT_THAT(parse_csv("a,b,c\n,,", "t").rows[0], ElementsAre("", "", ""));
  EXPECT_THAT(parse_csv("a\n\"\"", "t").rows[0], ElementsAre(""));
}

std::string message_of(std::string_view text) {
  try {
    parse_csv(text, "t.csv");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kCorrupt);
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

TEST(Csv, NamesTheLineOfWhatIsWrong) {
  EXPECT_THAT(message_of(""), HasSubstr("no header"));
  EXPECT_THAT(message_of("\n\n"), HasSubstr("no header"));
  EXPECT_THAT(message_of("a,b\n1,2\n1,2,3\n"), HasSubstr("line 3: 3 fields, the header has 2"));
  EXPECT_THAT(message_of("a,b\n1\n"), HasSubstr("line 2: 1 fields"));
  EXPECT_THAT(message_of("a,b\n1,\"2\n3\n"), HasSubstr("line 2: the quoted field"));
  EXPECT_THAT(message_of("a,b\n1,\"2\"3\n"), HasSubstr("line 2: text after the closing quote"));
  EXPECT_THAT(message_of("a,b\n1,2\"3\n"), HasSubstr("line 2: a quote inside"));
  EXPECT_THAT(message_of(std::string_view("a,b\n1,\0\n", 8)), HasSubstr("line 2: a NUL"));
}

TEST(Csv, AnyFlippedOrCutByteGivesATableOrATypedError) {
  const std::string text = "path,label\r\n\"a,\"\"b\".jpg,1\r\nc.jpg,\"2\"\r\n\"x\ny\",3\n";
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      std::string changed = text;
      changed[at] = static_cast<char>(value);
      try {
        const CsvTable table = parse_csv(changed, "t.csv");
        for (const auto& row : table.rows) {
          EXPECT_EQ(row.size(), table.header.size());
        }
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::kCorrupt);
      }
    }
  }
}

}  // namespace
}  // namespace reprise::engine
