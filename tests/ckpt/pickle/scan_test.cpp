#include "ckpt/pickle/scan.h"

#include <gtest/gtest.h>

#include <string>

namespace reprise::pickle {
namespace {

using namespace std::string_literals;

PickleScan scan_text(const std::string& bytes) { return scan(as_bytes(bytes)); }

void expect_dangerous(const std::string& pickle, std::string_view name) {
  SCOPED_TRACE(name);
  const PickleScan found = scan_text(pickle);
  ASSERT_EQ(found.globals.size(), 1u);
  EXPECT_EQ(found.globals[0].name, name);
  EXPECT_EQ(found.globals[0].judgement.verdict, Verdict::kDangerous);
}

TEST(PickleScan, EveryWayToNameAGlobalIsSeen) {
  expect_dangerous("cos\nsystem\n(X\x02\0\0\0lstR."s, "os.system");
  expect_dangerous("(X\x02\0\0\0lsios\nsystem\n."s, "os.system");
  expect_dangerous("\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02ls\x85R."s, "os.system");
  expect_dangerous("\x80\x04\x82\x07)R."s, "copyreg extension 7");
}

TEST(PickleScan, NamesOutOfTheMemoAreResolved) {
  expect_dangerous(
      "\x80\x04\x8c\x06system\x94"
      "0\x8c\x02os\x94"
      "0h\x01h\x00\x93."s,
      "os.system");
  expect_dangerous("\x80\x04Vos\np9\n0Vsystem\np8\n0g9\ng8\n\x93."s, "os.system");
}

TEST(PickleScan, EscapedNamesAreDecoded) {
  expect_dangerous("\x80\x04V\\u006fs\nVsyste\\u006d\n\x93."s, "os.system");
  expect_dangerous("\x80\x04S'\\x6fs'\nS'system'\n\x93."s, "os.system");
}

TEST(PickleScan, AComputedNameIsDangerous) {
  expect_dangerous("\x80\x04N\x8c\x06system\x93."s, "?.system");
}

TEST(PickleScan, Python2NamesAreJudgedAsWhatTheyAreNow) {
  expect_dangerous("ccommands\ngetoutput\n."s, "subprocess.getoutput");
  expect_dangerous("c__builtin__\neval\n."s, "builtins.eval");
}

TEST(PickleScan, WhatComesBeforeABreakIsReported) {
  const PickleScan found = scan_text(
      "\x80\x02"
      "cos\nsystem\nX\x02\0\0\0ls\x85R\xff\xff"s);
  ASSERT_EQ(found.globals.size(), 1u);
  EXPECT_EQ(found.globals[0].offset_bytes, 2u);
  EXPECT_FALSE(found.complete);
  EXPECT_NE(found.problem.find("byte 22"), std::string::npos) << found.problem;
}

TEST(PickleScan, MistakesThatStopPythonDoNotHideWhatFollows) {
  // An empty stack, an unset memo entry, an append to a number: then the call.
  const PickleScan found = scan_text(
      "0h\x07K\x01K\x02"
      "acos\nsystem\n."s);
  ASSERT_EQ(found.globals.size(), 1u);
  EXPECT_EQ(found.globals[0].name, "os.system");
}

TEST(PickleScan, VerdictsFollowTheName) {
  EXPECT_EQ(judge("torch._utils._rebuild_tensor_v2").verdict, Verdict::kKnown);
  EXPECT_EQ(judge("torch.nn.modules.linear.Linear").verdict, Verdict::kKnown);
  EXPECT_EQ(judge("torch.nn.modules.linear.Linear.__init__.__globals__").verdict,
            Verdict::kUnknown);
  EXPECT_EQ(judge("src.project_enums.EnumMode").verdict, Verdict::kUnknown);
  EXPECT_EQ(judge("os.path.join").verdict, Verdict::kDangerous);
  EXPECT_EQ(judge("builtins.anything_else").verdict, Verdict::kDangerous);
  EXPECT_EQ(judge("osmium.Reader").verdict, Verdict::kUnknown);
}

}  // namespace
}  // namespace reprise::pickle
