#include "repro/report/history.h"

#include "ckpt/base/error.h"
#include "tests/repro/shell.h"

#include <gmock/gmock.h>

#include <cmath>

namespace reprise::report {
namespace {

using testing::HasSubstr;
using testing_shell::put;
using testing_shell::Scratch;

constexpr const char* kHead = "update\tepoch\tsamples_seen\tloss\n";

// What read_history() says about a file of this text.
std::pair<Code, std::string> refusal(const std::string& text) {
  const Scratch scratch;
  put(scratch / "train.tsv", text);
  try {
    read_history(scratch / "train.tsv");
  } catch (const Error& error) {
    return {error.code(), error.what()};
  }
  return {Code::kInternal, "accepted"};
}

TEST(History, ReadsRowsAndColumnsByName) {
  const Scratch scratch;
  put(scratch / "a.tsv", std::string(kHead) + "2\t1\t32\t0.5\n4\t2\t64\tnan\n");
  const History history = read_history(scratch / "a.tsv");
  ASSERT_EQ(history.rows.size(), 2u);
  EXPECT_EQ(history.column("loss"), 0u);
  EXPECT_FALSE(history.column("lr"));
  EXPECT_EQ(history.rows[0].samples_seen, 32u);
  EXPECT_EQ(history.rows[0].values[0], 0.5);
  EXPECT_TRUE(std::isnan(history.rows[1].values[0]));
}

TEST(History, ALineThatIsBeingWrittenIsLeftOut) {
  const Scratch scratch;
  put(scratch / "a.tsv", std::string(kHead) + "2\t1\t32\t0.5\n4\t2\t6");
  EXPECT_EQ(read_history(scratch / "a.tsv").rows.size(), 1u);
  put(scratch / "empty.tsv", "");
  EXPECT_TRUE(read_history(scratch / "empty.tsv").rows.empty());
}

TEST(History, DamageIsNamedByLineAndColumn) {
  const std::string head = kHead;
  const auto [code, text] = refusal(head + "2\t1\t32\t0.5\n4\t1\t64\t0,5\n");
  EXPECT_EQ(code, Code::kCorrupt);
  EXPECT_THAT(text, HasSubstr("line 3: loss is '0,5'"));
  EXPECT_THAT(refusal(head + "2\t1\t32\n").second, HasSubstr("line 2 has 3 columns"));
  EXPECT_THAT(refusal(head + "2\t1\t32\t1\t1\n").second, HasSubstr("line 2 has 5 columns"));
  EXPECT_THAT(refusal(head + "-2\t1\t32\t1\n").second, HasSubstr("update is '-2'"));
  EXPECT_THAT(refusal(head + "4\t1\t64\t1\n2\t1\t32\t1\n").second, HasSubstr("does not follow"));
  EXPECT_THAT(refusal("epoch\tloss\n").second, HasSubstr("line 1"));
  EXPECT_THAT(refusal("update\tepoch\tsamples_seen" + std::string(5000, '\t') + "\n").second,
              HasSubstr("more than 256 columns"));
}

TEST(History, ANameWithControlCharactersCannotDriveATerminal) {
  const std::string text = refusal("\x1b[2Jupdate\n").second;
  EXPECT_THAT(text, HasSubstr("\\x1b[2J"));
}

}  // namespace
}  // namespace reprise::report
