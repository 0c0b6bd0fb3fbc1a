#include "migrate/cli/batch.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/base/uuid.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace reprise::migrate {
namespace {
namespace fs = std::filesystem;

class Batch : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("reprise-batch-" + Uuid::random().text());
    fs::create_directories(folder_ / "deep" / "er");
    options_.inputs = {folder_};
  }
  void TearDown() override { fs::remove_all(folder_); }

  void touch(const std::string& name) { write_text(folder_ / name, "x"); }
  std::vector<std::string> targets() {
    std::vector<std::string> names;
    for (const Item& item : plan_batch(options_))
      names.push_back(fs::relative(item.target, folder_).native());
    return names;
  }
  Code code() {
    try {
      plan_batch(options_);
    } catch (const Error& error) {
      return error.code();
    }
    return Code::kInternal;
  }

  fs::path folder_;
  MigrateOptions options_;
};

TEST_F(Batch, TakesCheckpointsAndLeavesResultsAndTheRest) {
  for (const char* name : {"a.pth", "b.pt", "c.ckpt", "d.pth.tar", "e.safetensors", "a.v5.h5",
                           "x.pts", "log.txt", "f.pth.tmp-1-abcdefgh"}) {
    touch(name);
  }
  touch("deep/g.pth");
  EXPECT_THAT(targets(),
              ::testing::ElementsAre("a.v5.h5", "b.v5.h5", "c.v5.h5", "d.v5.h5", "e.v5.h5"));
  options_.recursive = true;
  EXPECT_THAT(targets(), ::testing::Contains("deep/g.v5.h5"));
}

TEST_F(Batch, DirectoriesAreKeptBelowTheOutput) {
  touch("deep/er/a.pth");
  touch("a.pth");
  options_.recursive = true;
  options_.output = folder_ / "new";
  EXPECT_THAT(targets(), ::testing::UnorderedElementsAre("new/a.v5.h5", "new/deep/er/a.v5.h5"));
}

TEST_F(Batch, SourcesOfOneStemKeepTheirFullNames) {
  touch("a.pt");
  touch("a.pth");
  EXPECT_THAT(targets(), ::testing::ElementsAre("a.pt.v5.h5", "a.pth.v5.h5"));
}

TEST_F(Batch, ShardsCoverEachItemOnce) {
  for (int i = 0; i < 10; ++i) touch(fmt::format("{}.pth", i));
  std::multiset<std::string> seen;
  for (const char* shard : {"1/3", "2/3", "3/3"}) {
    options_.shard = shard;
    for (const std::string& target : targets()) seen.insert(target);
  }
  options_.shard.clear();
  const auto all = targets();
  EXPECT_EQ(seen, std::multiset<std::string>(all.begin(), all.end()));
}

// Jobs of an array start one after the other: with --replace the later ones find some sources gone
// and results in their place. Slices by position in the list then missed files.
TEST_F(Batch, ShardsStayWhatTheyAreWhileOtherJobsReplaceFiles) {
  options_.recursive = true;
  options_.replace = true;
  options_.backup = folder_.native() + "-backup";
  std::set<std::string> all, seen;
  for (int i = 0; i < 40; ++i) {
    const std::string name = fmt::format("deep/{}.{}", i, i % 2 == 0 ? "pth" : "ckpt");
    touch(name);
    all.insert(name);
  }
  std::size_t most = 0;
  for (int shard = 1; shard <= 5; ++shard) {
    options_.shard = fmt::format("{}/5", shard);
    std::size_t taken = 0;
    for (const Item& item : plan_batch(options_)) {
      if (item.source.extension() == ".h5") continue;  // another job's result
      EXPECT_TRUE(seen.insert(fs::relative(item.source, folder_).native()).second);
      fs::rename(item.source, item.target);
      ++taken;
    }
    most = std::max(most, taken);
  }
  EXPECT_EQ(seen, all);
  EXPECT_LT(most, 20U) << "one slice holds half of them";
}

TEST_F(Batch, ShardsDoNotDependOnWhereTheTreeIsMounted) {
  const auto slice = [&](const fs::path& input) {
    options_.inputs = {input};
    options_.recursive = true;
    options_.shard = "2/3";
    std::vector<std::string> names;
    for (const Item& item : plan_batch(options_)) names.push_back(item.source.filename().native());
    return names;
  };
  for (int i = 0; i < 20; ++i) touch(fmt::format("deep/{}.pth", i));
  const auto here = slice(folder_ / "deep");
  fs::rename(folder_ / "deep", folder_ / "elsewhere");
  EXPECT_EQ(slice(folder_ / "elsewhere" / ""), here);
  EXPECT_FALSE(here.empty());
}

TEST_F(Batch, BadOptionsAreUsageErrors) {
  EXPECT_EQ(code(), Code::kUsage) << "nothing to do";
  touch("a.pth");
  for (const char* shard : {"0/3", "4/3", "1", "a/b", "1/0", "1/2x"}) {
    options_.shard = shard;
    EXPECT_EQ(code(), Code::kUsage) << shard;
  }
  options_.shard.clear();
  options_.replace = true;
  EXPECT_EQ(code(), Code::kUsage) << "--replace without --backup";
  options_.replace = false;
  options_.backup = folder_ / "deep";
  EXPECT_EQ(code(), Code::kUsage) << "--backup without --replace";
  options_.backup.reset();
  options_.output = folder_ / "a.pth";
  EXPECT_EQ(code(), Code::kUsage) << "-o is a file";
  options_.output.reset();
  options_.inputs = {folder_ / "missing"};
  options_.replace = false;
  EXPECT_EQ(code(), Code::kNotFound);
}

TEST_F(Batch, BackupLiesApartFromTheSources) {
  touch("a.pth");
  options_.replace = true;
  options_.backup = folder_ / "deep" / "..";
  EXPECT_EQ(code(), Code::kUsage) << "the originals would stay where they are, and be removed";
  options_.inputs = {folder_ / "a.pth"};
  EXPECT_EQ(code(), Code::kUsage) << "a file's own folder";
  fs::create_directory_symlink(folder_, folder_ / "link");
  options_.backup = folder_ / "link";
  EXPECT_EQ(code(), Code::kUsage) << "the same folder by another name";
  options_.backup = folder_ / "deep";
  EXPECT_EQ(plan_batch(options_).size(), 1U);
  options_.inputs = {folder_};
  EXPECT_EQ(plan_batch(options_).size(), 1U);
  options_.recursive = true;
  EXPECT_EQ(code(), Code::kUsage) << "a second run would migrate the backup";
  options_.backup = folder_.native() + "-backup";
  EXPECT_EQ(plan_batch(options_).size(), 1U);
}

}  // namespace
}  // namespace reprise::migrate
