#include "ckpt/base/command_line.h"

#include "ckpt/base/error.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace reprise {
namespace {

// A small binary with two commands, whose parsed values a test can look at.
struct Sample {
  std::filesystem::path file;
  std::vector<std::string> more;
  std::string take = "model";
  std::int64_t seed = -1;
  std::optional<double> rate;
  std::optional<bool> strict;
  bool all = false;
  std::vector<std::string> tags;
  std::vector<std::string> rest;
  std::function<int(Io&)> body = [](Io&) { return 0; };
  Io seen;
};

struct Outcome {
  int code;
  std::string out;
  std::string err;
};

Outcome run(Sample& sample, std::vector<std::string> arguments) {
  CommandLine app("sample", "Shows how a binary is made.");
  Command& show = app.command("show", "Say what a file is");
  show.positional("FILE", sample.file, "the file");
  show.positional("MORE", sample.more, "more files").optional();
  show.option("--take", sample.take, "what").choices({"model", "teacher"});
  show.option("-s,--seed", sample.seed, "seed");
  show.option("--rate", sample.rate, "rate");
  show.option("--tag", sample.tags, "tag");
  show.toggle("--strict", "--no-strict", sample.strict, "strictness");
  show.flag("-a,--all", sample.all, "everything");
  show.example("sample show x", "says what x is");
  show.exit_code(1, "it is nothing");
  show.on_run([&](Io& io) {
    sample.seen = io;
    return sample.body(io);
  });
  Command& exec = app.command("exec", "Run a command");
  exec.flag("--all", sample.all, "everything");
  exec.rest("CMD...", sample.rest, "what to run");
  exec.on_run([](Io&) { return 0; });
  arguments.insert(arguments.begin(), "sample");
  std::vector<const char*> argv;
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int code = app.run(static_cast<int>(argv.size()), argv.data());
  std::string err = testing::internal::GetCapturedStderr();
  return {code, testing::internal::GetCapturedStdout(), std::move(err)};
}

TEST(CommandLine, OptionsStandBeforeAndAfterPositionals) {
  Sample sample;
  const Outcome outcome =
      run(sample, {"--json", "show", "-s", "-3", "file", "--rate=0.5", "m1", "-a", "m2", "--take",
                   "teacher", "--jobs", "2", "--tag", "x", "--tag", "y", "--no-strict"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(sample.file, "file");
  EXPECT_EQ(sample.more, (std::vector<std::string>{"m1", "m2"}));
  EXPECT_EQ(sample.seed, -3);
  EXPECT_EQ(sample.rate, 0.5);
  EXPECT_EQ(sample.take, "teacher");
  EXPECT_EQ(sample.tags, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(sample.strict, false);
  EXPECT_TRUE(sample.all);
  EXPECT_TRUE(sample.seen.json);
  EXPECT_EQ(sample.seen.jobs, 2u);
  EXPECT_EQ(outcome.out, "");
}

TEST(CommandLine, WhatIsNotGivenKeepsItsDefault) {
  Sample sample;
  EXPECT_EQ(run(sample, {"show", "file"}).code, 0);
  EXPECT_EQ(sample.take, "model");
  EXPECT_FALSE(sample.rate.has_value());
  EXPECT_FALSE(sample.strict.has_value());
  EXPECT_TRUE(sample.more.empty());
}

TEST(CommandLine, TheLastOfARepeatedOptionCounts) {
  Sample sample;
  EXPECT_EQ(
      run(sample, {"show", "f", "--seed", "1", "--seed", "2", "--no-strict", "--strict"}).code, 0);
  EXPECT_EQ(sample.seed, 2);
  EXPECT_EQ(sample.strict, true);
}

// What a script makes of --take=$TAKE where TAKE is empty.
TEST(CommandLine, AnEmptyValueIsEmptyAndTakesNoOtherArgument) {
  Sample sample;
  sample.take = "teacher";
  const Outcome outcome = run(sample, {"show", "f", "--tag=", "--seed", "3"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(sample.tags, std::vector<std::string>{""});
  EXPECT_EQ(sample.seed, 3);
  const Outcome number = run(sample, {"show", "f", "--seed=", "--all"});
  EXPECT_EQ(number.code, 2);
  EXPECT_NE(number.err.find("--seed: '' is not a whole number"), std::string::npos) << number.err;
  const Outcome none = run(sample, {"show", "f", "--seed"});
  EXPECT_EQ(none.code, 2);
  EXPECT_NE(none.err.find("--seed needs a value"), std::string::npos) << none.err;
}

TEST(CommandLine, RestIsUntouched) {
  Sample sample;
  const std::vector<std::string> rest = {"python", "x.py", "--all", "--", "-q"};
  std::vector<std::string> arguments = {"exec", "--"};
  arguments.insert(arguments.end(), rest.begin(), rest.end());
  const Outcome outcome = run(sample, arguments);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(sample.rest, rest);
  EXPECT_FALSE(sample.all);
}

TEST(CommandLine, DoubleDashEndsOptions) {
  Sample sample;
  EXPECT_EQ(run(sample, {"show", "--", "--all"}).code, 0);
  EXPECT_EQ(sample.file, "--all");
  EXPECT_FALSE(sample.all);
}

TEST(CommandLine, BadUsageExitsTwoAndSuggests) {
  const auto said = [](std::vector<std::string> arguments) {
    Sample sample;
    const Outcome outcome = run(sample, std::move(arguments));
    EXPECT_EQ(outcome.code, 2);
    EXPECT_EQ(outcome.out, "");
    return outcome.err;
  };
  EXPECT_NE(said({"shwo", "f"}).find("unknown command 'shwo'; did you mean show?"),
            std::string::npos);
  EXPECT_NE(said({"show", "f", "--sede", "1"}).find("did you mean --seed?"), std::string::npos);
  EXPECT_NE(said({"show", "f", "--take", "teachr"}).find("did you mean teacher?"),
            std::string::npos);
  EXPECT_NE(said({"show", "f", "--seed", "1x"}).find("--seed: '1x' is not a whole number"),
            std::string::npos);
  EXPECT_NE(said({"show", "f", "--seed", "99999999999999999999"}).find("out of range"),
            std::string::npos);
  EXPECT_NE(said({"show", "f", "--jobs", "-1"}).find("of at least 0"), std::string::npos);
  EXPECT_NE(said({"show"}).find("FILE is missing"), std::string::npos);
  EXPECT_NE(said({"exec", "ls"}).find("put -- before"), std::string::npos);
  EXPECT_NE(said({"exec"}).find("put it after --"), std::string::npos);
  EXPECT_NE(said({}).find("a command is missing: one of show, exec"), std::string::npos);
  said({"show", "f", "--seed"});
}

TEST(CommandLine, ThrownErrorsBecomeExitCodes) {
  Sample sample;
  sample.body = [](Io&) -> int { fail(Code::kCorrupt, "x.h5: byte 7: broken"); };
  const Outcome corrupt = run(sample, {"show", "f"});
  EXPECT_EQ(corrupt.code, 12);
  EXPECT_EQ(corrupt.err, "sample show: corrupt: x.h5: byte 7: broken\n");
  sample.body = [](Io&) -> int { throw std::logic_error("impossible"); };
  EXPECT_EQ(run(sample, {"show", "f"}).code, 70);
  sample.body = [](Io&) { return 1; };
  EXPECT_EQ(run(sample, {"show", "f"}).code, 1);
}

TEST(CommandLine, HelpEndsWithExampleAndExitCodes) {
  Sample sample;
  const Outcome help = run(sample, {"show", "--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_TRUE(help.out.starts_with("usage: sample show [OPTIONS] FILE [MORE...]\n")) << help.out;
  const std::size_t example = help.out.find("\nexample:\n  sample show x\n");
  const std::size_t codes = help.out.find("\nexit codes:\n");
  ASSERT_NE(example, std::string::npos) << help.out;
  EXPECT_LT(example, codes);
  EXPECT_NE(help.out.find("  1   it is nothing\n"), std::string::npos);
  EXPECT_EQ(run(sample, {"help", "show"}).out, help.out);
  EXPECT_NE(run(sample, {"--help"}).out.find("  show  Say what a file is\n"), std::string::npos);
}

TEST(CommandLine, HelpShowsChoicesAndWhatHoldsWhenNothingIsGiven) {
  std::uint64_t count = 64;
  double rate = 1e-8;
  bool keep = false;
  std::string take, kind = "h5";
  std::optional<int> most;
  CommandLine app("whole", "Does one thing.");
  Command& self = app.program();
  self.option("--count", count, "how many");
  self.option("--rate", rate, "how fast");
  self.toggle("--keep", "--drop", keep, "what is there");
  self.option("--take", take, "which; empty: all").choices({"", "a", "b"});
  self.option("--kind", kind, "of what kind").choices({"h5", "pth"});
  self.option("--most", most, "at most").standard("as before");
  self.on_run([](Io&) { return 0; });
  testing::internal::CaptureStdout();
  const char* argv[] = {"whole", "--count", "3", "--help"};
  EXPECT_EQ(app.run(4, argv), 0);
  const std::string help = testing::internal::GetCapturedStdout();
  for (const char* text :
       {"how many (default 64)\n", "how fast (default 1e-08)\n", "what is there (default --drop)\n",
        "which; empty: all (a, b)\n", "of what kind (h5, pth; default h5)\n",
        "at most (default as before)\n"}) {
    EXPECT_NE(help.find(text), std::string::npos) << text << help;
  }
}

TEST(CommandLine, VersionAndDescription) {
  Sample sample;
  EXPECT_TRUE(run(sample, {"--version"}).out.starts_with("sample "));
  EXPECT_EQ(run(sample, {"show", "--version"}).out, run(sample, {"--version"}).out);
  EXPECT_NE(run(sample, {"--describe"}).out.find("\"names\": \"-s,--seed\""), std::string::npos);
}

TEST(CommandLine, ProgramWithoutCommands) {
  std::vector<std::string> inputs;
  CommandLine app("whole", "Does one thing.");
  Command& self = app.program();
  self.positional("IN", inputs, "inputs");
  self.on_run([](Io&) { return 0; });
  const char* argv[] = {"whole", "a", "show", "b"};
  EXPECT_EQ(app.run(4, argv), 0);
  EXPECT_EQ(inputs.size(), 3u);
}

}  // namespace
}  // namespace reprise
