#include "ckpt/store/run_directory.h"
#include "ckpt/store/save.h"
#include "tests/ckpt/cli/ckpt_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/prctl.h>

namespace reprise::cli {
namespace {

using testing::HasSubstr;

class Runs : public testing::Test {
 protected:
  void SetUp() override {
    for (int i = 1; i <= 4; ++i) {
      Checkpoint c = sample::model(i, static_cast<std::uint64_t>(i), i == 2 ? 0.9 : 0.1);
      if (i == 4) c.parents = {{sample::uuid(3), Relation::kResumed}};
      store::save(c, run_.checkpoints());
    }
  }
  Outcome run(std::vector<std::string> arguments) const {
    return ckpt(scratch_.path(), std::move(arguments));
  }

  const sample::Scratch scratch_;
  const store::RunDirectory run_ = store::RunDirectory::create(scratch_ / "runs/road/1");
};

TEST_F(Runs, OneRowForEachRun) {
  const store::RunDirectory second = store::RunDirectory::create(scratch_ / "runs/road/2");
  const store::RunLock lock = second.lock();
  const Outcome text = run({"runs", "runs"});
  EXPECT_EQ(text.code, 0);
  EXPECT_THAT(text.out, HasSubstr("runs/road/1  stopped         4      4  val/acc1 0.9 ep2  "));
  EXPECT_THAT(text.out, HasSubstr("runs/road/2  running *"));
  const Json json = parse_json(run({"runs", "runs", "--json"}).out);
  ASSERT_EQ(json["runs"].size(), 2U);
  EXPECT_EQ(json["runs"][0]["path"], "runs/road/1");
  EXPECT_EQ(json["runs"][0]["epochs"], 4);
  EXPECT_EQ(json["runs"][0]["best"]["epoch"], 2);
  EXPECT_EQ(json["runs"][0]["last"]["uuid"], sample::uuid(4).text());
  EXPECT_EQ(json["runs"][1]["state"], "running");
  EXPECT_EQ(run({"runs", "none"}).code, 10);
}

TEST_F(Runs, AFailedRunSaysWhy) {
  store::RunLock lock = run_.lock();
  lock.finish(store::RunState::kFailed,
              "update 7 has a loss of nan and a gradient norm of nan, and is not made");
  EXPECT_THAT(run({"runs", "runs"}).out, HasSubstr("failed: update 7 has a loss of nan and"));
  const Json json = parse_json(run({"runs", "runs", "--json"}).out);
  EXPECT_EQ(json["runs"][0]["state"], "failed");
  EXPECT_THAT(json["runs"][0]["reason"].get<std::string>(), HasSubstr("and is not made"));
}

TEST_F(Runs, CleanDryRunChangesNothing) {
  const Outcome outcome =
      run({"clean", "runs/road/1", "--keep-best", "--keep-last", "1", "--dry-run", "--json"});
  EXPECT_EQ(outcome.code, 0);
  const Json json = parse_json(outcome.out);
  ASSERT_EQ(json["removed"].size(), 1U);
  EXPECT_THAT(json["removed"][0]["path"].get<std::string>(), HasSubstr("_ep0001_"));
  EXPECT_EQ(json["bytes"], json["removed"][0]["bytes"]);
  EXPECT_EQ(json["kept"].size(), 3U);
  EXPECT_EQ(json["kept"][0]["reason"], "best by val/acc1 (0.9)");
  EXPECT_THAT(json["kept"][1]["reason"].get<std::string>(), HasSubstr("parent (resumed) of "));
  EXPECT_EQ(json["kept"][2]["reason"], "the last one");
  EXPECT_EQ(run_.list().size(), 4U);
}

TEST_F(Runs, CleanRemovesWhatItSaid) {
  const Outcome outcome = run({"clean", "runs/road/1", "--keep-best", "--keep-last", "1"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(run_.list().size(), 3U);
  EXPECT_THAT(outcome.out, HasSubstr(" freed\n"));
}

TEST_F(Runs, CleanWithoutARuleIsAUsageError) {
  const Outcome outcome = run({"clean", "runs/road/1"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("say what to keep"));
  EXPECT_EQ(run({"clean", "runs/road/1", "--every", "0"}).code, 2);
  EXPECT_EQ(run({"clean", "runs", "--keep-best"}).code, 15);
}

TEST_F(Runs, CleanTouchesNoFolderThatIsNoRun) {
  const std::filesystem::path loose = scratch_ / "loose";
  std::filesystem::create_directory(loose);
  store::save_as(sample::model(1, 1, 0.1), loose / "a.h5");
  store::save_as(sample::model(2, 2, 0.1), loose / "b.h5");
  for (const char* name : {"x.safetensors", "my-old-thesis.pth"}) std::ofstream(loose / name) << 1;
  std::filesystem::create_directory(scratch_ / "collection");
  for (int i = 1; i <= 3; ++i)
    store::save(sample::model(i, static_cast<std::uint64_t>(i), 0.1), scratch_ / "collection");
  const auto files = [](const std::filesystem::path& folder) {
    using Iterator = std::filesystem::directory_iterator;
    return std::distance(Iterator(folder), Iterator());
  };
  for (const char* folder : {"loose", "collection", "runs/road/1/checkpoints"}) {
    const auto before = files(scratch_ / folder);
    const Outcome outcome = run({"clean", folder, "--keep-best"});
    EXPECT_EQ(outcome.code, 15) << folder;
    EXPECT_THAT(outcome.err, HasSubstr("is no run")) << folder;
    EXPECT_EQ(files(scratch_ / folder), before) << folder;
  }
  EXPECT_THAT(run({"runs", "loose"}).err, HasSubstr("no runs at or below"));
}

TEST_F(Runs, CleanLeavesARunThatIsBeingWritten) {
  const store::RunLock lock = run_.lock();
  EXPECT_EQ(run({"clean", "runs/road/1", "--keep-last", "1"}).code, 15);
  EXPECT_EQ(run({"clean", "runs/road/1", "--keep-last", "1", "--dry-run"}).code, 0);
  EXPECT_EQ(run_.list().size(), 4U);
}

TEST_F(Runs, CleanKeepsOthersAwayAndTheStateAsItWas) {
  const store::RunState before = run_.info().state;
  {
    const store::RunLock other = run_.hold();
    const Outcome outcome = run({"clean", "runs/road/1", "--keep-last", "1"});
    EXPECT_EQ(outcome.code, 15);
    EXPECT_THAT(outcome.err, HasSubstr("another process is cleaning up here"));
    EXPECT_EQ(run_.list().size(), 4U);
  }
  EXPECT_EQ(run({"clean", "runs/road/1", "runs/road/../road/1", "--keep-last", "1"}).code, 0)
      << "one run by two names";
  EXPECT_EQ(run_.info().state, before);
}

TEST_F(Runs, CleanDropsOptimizers) {
  const Outcome outcome = run({"clean", "runs/road/1", "--drop-optimizer", "--json"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(parse_json(outcome.out)["reduced"].size(), 3U);
  EXPECT_EQ(parse_json(run({"show", "runs/road/1/<ep1>", "--json"}).out)["resumable"], false);
  EXPECT_EQ(parse_json(run({"show", "runs/road/1/<last>", "--json"}).out)["resumable"], true);
}

TEST_F(Runs, ANeighbourThatIsClosedToUsIsNamedAndStopsNothing) {
  const store::RunDirectory other = store::RunDirectory::create(scratch_ / "runs/road/2");
  std::filesystem::permissions(other.checkpoints(), std::filesystem::perms::none);
  const auto as_a_user = [] {
    // Root may read everything; without root there is no such right, and no need.
    prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE);
    prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH);
  };
  const auto run_as_user = [&](std::vector<std::string> arguments) {
    return ckpt(scratch_.path(), std::move(arguments), as_a_user);
  };
  const Outcome clean = run_as_user({"clean", "runs/road/1", "--keep-last", "1"});
  EXPECT_EQ(clean.code, 0);
  EXPECT_THAT(clean.err, HasSubstr("runs/road/2 cannot be looked into"));
  EXPECT_THAT(clean.err, HasSubstr("Permission denied; its permissions do not let you read it"));
  EXPECT_EQ(run_.list().size(), 4U);
  const Outcome lineage = run_as_user({"lineage", "runs/road/1"});
  EXPECT_EQ(lineage.code, 0);
  EXPECT_THAT(lineage.err, HasSubstr("runs/road/2 is left out"));
  EXPECT_THAT(lineage.out, HasSubstr("tiny_net ep4"));
  EXPECT_EQ(run_as_user({"verify", "runs/road/1/<last>"}).code, 0);
  std::filesystem::permissions(other.checkpoints(), std::filesystem::perms::owner_all);
}

TEST_F(Runs, MistakesInTheCommandLineAreUsageErrors) {
  const auto is_usage = [&](std::vector<std::string> arguments, const std::string& says) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, 2) << arguments[0];
    EXPECT_EQ(outcome.out, "") << arguments[0];
    EXPECT_THAT(outcome.err, HasSubstr(says));
  };
  std::ofstream(scratch_ / "file") << "x";
  is_usage({"verify", "runs/road/1"}, "runs/road/1/<last>");
  is_usage({"tree", "runs/road/1"}, "is a directory");
  is_usage({"tree", "runs/road/1/<last>", "--max-depth", "-1"}, "--max-depth");
  is_usage({"runs", "file"}, "a directory was expected");
  is_usage({"runs", "--depth", "-1"}, "--depth");
  is_usage({"average", "runs/road/1", "--last", "0", "mean.h5"}, "at least 1");
  is_usage({"average", "runs/road/1", "--epochs", "2:1", "mean.h5"}, "ends before it begins");
  is_usage({"stats", "runs/road/1/<last>", "--jobs", "100000"}, "at most 1024");
}

TEST_F(Runs, TreeTakesReferences) {
  const Outcome outcome = run({"tree", "runs/road/1/<last>", "--max-depth", "1"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, HasSubstr(sample::uuid(4).text()));
}

TEST_F(Runs, LineageOfACheckpointIsItsAncestry) {
  const Outcome text = run({"lineage", "runs/road/1/<last>"});
  EXPECT_EQ(text.code, 0);
  EXPECT_TRUE(text.out.starts_with(sample::uuid(4).text().substr(0, 8) + "  model tiny_net ep4  "))
      << text.out;
  EXPECT_THAT(text.out, HasSubstr("\n  resumed " + sample::uuid(3).text().substr(0, 8) +
                                  "  model tiny_net ep3  "));
  const Json json = parse_json(run({"lineage", "runs/road/1/<last>", "--json"}).out);
  EXPECT_EQ(json["nodes"].size(), 2U);
  EXPECT_EQ(json["edges"][0]["relation"], "resumed");
  const Json whole = parse_json(run({"lineage", "runs/road/1", "--json"}).out);
  EXPECT_EQ(whole["nodes"].size(), 4U);
  EXPECT_TRUE(run({"lineage", "runs/road/1", "--dot"}).out.starts_with("digraph lineage {"));
}

}  // namespace
}  // namespace reprise::cli
