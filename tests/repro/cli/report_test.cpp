// `repro table`, `plot` and `report` as programs.
#include "ckpt/base/json.h"
#include "tests/repro/cli/written_run.h"
#include "tests/repro/shell.h"

#include <gmock/gmock.h>

namespace reprise {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using testing_shell::get;
using testing_shell::make_run;
using testing_shell::must;
using testing_shell::Outcome;
using testing_shell::put;
using testing_shell::Scratch;
using testing_shell::shell;
namespace fs = std::filesystem;

const std::string kRepro = REPRISE_BIN_REPRO;

TEST(ReproTable, SortsByTheBestAndSaysWhereItWas) {
  const Scratch scratch;
  make_run(scratch / "runs/low", 20);
  make_run(scratch / "runs/high", 80);
  const Json table =
      parse_json(must(scratch.path(), kRepro + " table runs --sort val/acc1 --json"));
  ASSERT_EQ(table["runs"].size(), 2u);
  EXPECT_EQ(table["runs"][0]["path"], "runs/high");
  EXPECT_EQ(table["runs"][0]["best"]["val/acc1"]["value"], 80);
  EXPECT_EQ(table["runs"][0]["best"]["val/acc1"]["samples_seen"], 320);
  EXPECT_EQ(table["runs"][0]["best"]["val/loss"]["update"], 10);  // the earliest of equals
  EXPECT_EQ(table["summary"]["val/acc1"]["mean"], 50);
  const std::string text = must(scratch.path(), kRepro + " table runs --metric val/acc1");
  EXPECT_THAT(text, HasSubstr("80"));
  EXPECT_THAT(text, Not(HasSubstr("val/loss")));
}

TEST(ReproTable, AStarForARunThatIsStillWriting) {
  const Scratch scratch;
  make_run(scratch / "runs/a", 20, "running");
  // Nobody holds the lock: it died.
  EXPECT_THAT(must(scratch.path(), kRepro + " table runs"), HasSubstr("interrupted"));
  put(scratch / "runs/a/.lock", "");
  const std::string held = must(scratch.path(), "flock runs/a/.lock " + kRepro + " table runs");
  EXPECT_THAT(held, HasSubstr("a*"));
}

TEST(ReproPlot, DrawsPngAndSvgByTheRealGnuplot) {
  if (shell("/", "command -v gnuplot").code != 0) GTEST_SKIP() << "gnuplot is not installed";
  const Scratch scratch;
  make_run(scratch / "a", 20);
  make_run(scratch / "b", 80);
  EXPECT_THAT(must(scratch.path(), kRepro + " plot a b --metric val/acc1 -o x.png"),
              EndsWith("x.png"));
  EXPECT_THAT(get(scratch / "x.png"), StartsWith("\x89PNG\r\n"));
  const Json said = parse_json(
      must(scratch.path(), kRepro + " plot a b --metric train/loss --x epochs -o x.svg --json"));
  EXPECT_EQ(said["curves"][1]["best"]["x"], 3);
  EXPECT_THAT(said["curves"][0]["epochs"], testing::ElementsAre(1, 2, 3));
  const std::string svg = get(scratch / "x.svg");
  EXPECT_THAT(svg, HasSubstr("color='rgb( 18, 163,  18)'"));   // the best value, green
  EXPECT_THAT(svg, HasSubstr("stroke='rgb(224,  80,  80)'"));  // epochs, red
  for (const char* mark : {"best value", "end of an epoch"}) EXPECT_THAT(svg, HasSubstr(mark));
}

TEST(ReproPlot, NamesOfRunsAndMetricsAreNoProgram) {
  if (shell("/", "command -v gnuplot").code != 0) GTEST_SKIP() << "gnuplot is not installed";
  const Scratch scratch;
  const std::string name = "it's `touch pwned` \"$(touch pwned)\" @x \\";
  make_run(scratch / name, 20);
  std::string valid = get(scratch / (name + "/valid.tsv"));
  const std::string metric = "val/'; system 'touch pwned' #`touch pwned`";
  valid.replace(valid.find("val/acc1"), 8, metric);
  put(scratch / (name + "/valid.tsv"), valid);
  put(scratch / "metric", metric);
  put(scratch / "name", name);
  must(scratch.path(),
       kRepro + " plot \"$(cat name)\" --metric \"$(cat metric)\" -o 'o'\\''`x`.svg'");
  EXPECT_TRUE(fs::exists(scratch / "o'`x`.svg"));
  const std::string found = must("/", "find '" + scratch.path().native() +
                                          "' /tmp/reprise-plot-* "
                                          "-name pwned 2>/dev/null || true");
  EXPECT_EQ(found, "");
}

TEST(ReproPlot, WhatIsMissingIsSaid) {
  const Scratch scratch;
  make_run(scratch / "a", 20);
  const Outcome outcome = shell(scratch.path(), kRepro + " plot a --metric val/mae -o x.png");
  EXPECT_EQ(outcome.code, 10);
  EXPECT_THAT(outcome.out, HasSubstr("there are train/data_time"));
  EXPECT_EQ(shell(scratch.path(), kRepro + " plot a -o x.gif").code, 2);
  EXPECT_FALSE(fs::exists(scratch / "x.png"));
  EXPECT_EQ(shell(scratch.path(), kRepro + " plot a -o missing/x.png").code, 10);
}

// Somebody who has the right to would lose /dev/null to a page.
TEST(ReproReport, DevicesPipesAndDirectoriesAreNotReplaced) {
  const Scratch scratch;
  make_run(scratch / "a", 20);
  must(scratch.path(), "mkfifo pipe && mkdir folder && ln -s pipe link");
  for (const char* place : {"pipe", "folder", "link"}) {
    const Outcome outcome = shell(scratch.path(), kRepro + " report a -o " + place);
    EXPECT_EQ(outcome.code, 2) << place;
    EXPECT_THAT(outcome.out, HasSubstr("in whose place no file is written")) << place;
  }
  must(scratch.path(), "test -p pipe && test -d folder && test -L link");
}

TEST(ReproReport, ThePathIsTheLastLineAndDamageIsInThePage) {
  const Scratch scratch;
  make_run(scratch / "a", 20);
  make_run(scratch / "b", 80);
  put(scratch / "b/train.tsv", "<script>\n");
  put(scratch / "b/ledger.jsonl", "{\"ledger\":1}\n");
  const std::string out = must(scratch.path(), kRepro + " report a b -o r.html 2>/dev/null");
  EXPECT_EQ(out, "r.html");
  const std::string text = get(scratch / "r.html");
  EXPECT_THAT(text, HasSubstr("&lt;script&gt;"));
  EXPECT_THAT(text, Not(HasSubstr("<script")));
  for (const char* id : {"summary", "curves", "environment", "lineage", "ledger", "differences"})
    EXPECT_THAT(text, HasSubstr("<section id=\"" + std::string(id) + "\">"));
  EXPECT_EQ(shell(scratch.path(), kRepro + " report a nothing -o r2.html").code, 10);
  EXPECT_FALSE(fs::exists(scratch / "r2.html"));
}

}  // namespace
}  // namespace reprise
