#include "tests/ckpt/cli/ckpt_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace reprise::cli {
namespace {

using testing::HasSubstr;

std::vector<std::string> commands() {
  const Json description = parse_json(ckpt("/", {"--describe"}).out);
  std::vector<std::string> names;
  for (const Json& command : description["commands"]) names.push_back(command["name"]);
  return names;
}

TEST(Help, EveryPromisedCommandIsThere) {
  const std::vector<std::string> names = commands();
  for (const char* name : {"show", "ls", "verify", "diff", "stats", "convert", "extract", "average",
                           "lineage", "runs", "clean"}) {
    EXPECT_THAT(names, testing::Contains(name));
  }
}

TEST(Help, EndsWithOneExampleAndTheExitCodes) {
  for (const std::string& name : commands()) {
    const Outcome help = ckpt("/", {name, "--help"});
    EXPECT_EQ(help.code, 0) << name;
    EXPECT_EQ(help.err, "") << name;
    const auto example = help.out.find("\nexample:\n  ckpt " + name + " ");
    const auto codes = help.out.find("\nexit codes:\n  0   ");
    EXPECT_NE(example, std::string::npos) << help.out;
    EXPECT_NE(codes, std::string::npos) << help.out;
    EXPECT_LT(example, codes) << name;
  }
}

TEST(Help, EveryCommandTakesTheCommonOptions) {
  for (const std::string& name : commands()) {
    const std::string help = ckpt("/", {name, "--help"}).out;
    for (const char* option : {"--json", "-q", "-v", "--color", "--jobs", "--version"}) {
      EXPECT_THAT(help, HasSubstr(option)) << name;
    }
  }
}

TEST(Help, MisspeltOnesAreAnswered) {
  Outcome outcome = ckpt("/", {"shwo"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("did you mean show?"));
  outcome = ckpt("/", {"ls", "x.h5", "--digets"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("did you mean --digest?"));
  EXPECT_EQ(ckpt("/", {"show"}).code, 2);
  EXPECT_EQ(ckpt("/", {}).code, 2);
}

}  // namespace
}  // namespace reprise::cli
