#include "ckpt/store/retention.h"

#include "ckpt/base/error.h"
#include "ckpt/store/load.h"
#include "ckpt/store/references_to.h"
#include "ckpt/store/save.h"
#include "tests/ckpt/store/sample_checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tuple>

#include <fstream>
#include <set>

namespace reprise::store {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class RetentionTest : public testing::Test {
 protected:
  void SetUp() override {
    for (int i = 1; i <= 6; ++i)
      save(sample::model(i, static_cast<std::uint64_t>(i), i == 2 ? 0.9 : 0.1 * i),
           run_.checkpoints());
  }

  // Epochs that the policy keeps, after it was executed.
  std::vector<std::uint64_t> kept(const RetentionPolicy& policy) {
    const RetentionPlan plan = plan_retention(run_, policy);
    std::vector<std::uint64_t> planned;
    for (const auto& item : plan.kept) planned.push_back(item.entry.epoch);
    execute(plan);
    std::vector<std::uint64_t> found;
    for (const auto& entry : run_.list()) found.push_back(entry.epoch);
    EXPECT_EQ(found, planned);
    return found;
  }

  const sample::Scratch root_;
  const RunDirectory run_ = RunDirectory::create(root_ / "run");
};

TEST_F(RetentionTest, WithoutARuleEverythingStays) {
  EXPECT_THAT(kept({}), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST_F(RetentionTest, KeepLast) { EXPECT_THAT(kept({.keep_last = 2}), ElementsAre(5, 6)); }

TEST_F(RetentionTest, KeepBestAlsoKeepsTheNewest) {
  EXPECT_THAT(kept({.keep_best = true}), ElementsAre(2, 6));
}

TEST_F(RetentionTest, KeepTop) { EXPECT_THAT(kept({.keep_top = 3}), ElementsAre(2, 5, 6)); }

TEST_F(RetentionTest, EveryKIsCountedFromBeginAndEndsInclusive) {
  EXPECT_THAT(kept({.keep_last = 1, .every = 2, .begin_epoch = 1, .end_epoch = 3}),
              ElementsAre(1, 3, 6));
}

TEST_F(RetentionTest, FilesByOtherNamesStayAndDoNotCount) {
  // Named as people name what they want to keep; the newest and the best of all, too.
  const fs::path mine = run_.checkpoints() / "for-the-paper.h5";
  save_as(sample::model(70, 70, 0.99), mine);
  std::ofstream(run_.checkpoints() / "thesis.pth") << "not a checkpoint at all";
  const RetentionPlan plan =
      plan_retention(run_, {.keep_best = true, .keep_last = 1, .drop_optimizer = true});
  std::set<std::string> removed, reduced;
  for (const auto& item : plan.removed) removed.insert(item.entry.path.filename());
  for (const auto& item : plan.reduced) reduced.insert(item.entry.path.filename());
  EXPECT_EQ(removed.size(), 4U) << "the best and the last of our own saves stay";
  EXPECT_EQ(reduced.size(), 1U) << "epoch 2";
  EXPECT_FALSE(reduced.contains(mine.filename()));
  execute(plan);
  EXPECT_TRUE(fs::exists(mine));
  EXPECT_TRUE(fs::exists(run_.checkpoints() / "thesis.pth"));
  std::set<std::uint64_t> left;
  for (const auto& entry : run_.list()) left.insert(entry.epoch);
  EXPECT_TRUE(left.contains(2) && left.contains(6));
}

TEST_F(RetentionTest, YoungFilesStay) {
  EXPECT_THAT(kept({.keep_last = 1, .younger_than = std::chrono::hours(1)}),
              ElementsAre(1, 2, 3, 4, 5, 6));
  for (const auto& entry : run_.list()) {
    if (entry.epoch < 4)
      fs::last_write_time(entry.path, fs::file_time_type::clock::now() - std::chrono::hours(2));
  }
  EXPECT_THAT(kept({.keep_last = 1, .younger_than = std::chrono::hours(1)}), ElementsAre(4, 5, 6));
}

TEST_F(RetentionTest, BackboneOfANeighbourStays) {
  const RunDirectory other = RunDirectory::create(root_ / "other");
  save(sample::head_for(100, sample::uuid(3)), other.checkpoints());
  const RetentionPlan plan = plan_retention(run_, {.keep_last = 1});
  ASSERT_EQ(plan.kept.size(), 2U);
  EXPECT_EQ(plan.kept[0].entry.uuid, sample::uuid(3));
  EXPECT_THAT(plan.kept[0].reason, HasSubstr("backbone of " + other.path().native()));
}

TEST_F(RetentionTest, ParentInARunOfAnotherNameStays) {
  // runs/<name>/<time>
  const RunDirectory here = RunDirectory::create(root_ / "runs/a/1");
  const RunDirectory there = RunDirectory::create(root_ / "runs/b/1");
  for (int i = 1; i <= 3; ++i)
    save(sample::model(i, static_cast<std::uint64_t>(i), 0.1), here.checkpoints());
  Checkpoint child = sample::model(50, 1, 0.1);
  child.parents = {{sample::uuid(1), Relation::kLoaded}};
  save(child, there.checkpoints());
  const RetentionPlan plan = plan_retention(here, {.keep_last = 1});
  ASSERT_EQ(plan.kept.size(), 2U);
  EXPECT_EQ(plan.kept[0].entry.uuid, sample::uuid(1));
  EXPECT_THAT(plan.kept[0].reason, HasSubstr("parent (loaded)"));
}

TEST_F(RetentionTest, ParentInAGivenRootStays) {
  const sample::Scratch far;
  const RunDirectory other = RunDirectory::create(far / "x/y/z/other");
  save(sample::head_for(100, sample::uuid(3)), other.checkpoints());
  EXPECT_EQ(plan_retention(run_, {.keep_last = 1}).kept.size(), 1U);
  EXPECT_EQ(plan_retention(run_, {.keep_last = 1}, {other}).kept.size(), 2U);
}

// Root may read everything; a child process without that right may not.
void give_up_the_rights_of_root() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  if (syscall(SYS_capset, &header, none) != 0) _exit(97);
}

TEST_F(RetentionTest, NothingGoesWhileANeighbourCannotBeLookedInto) {
  const RunDirectory other = RunDirectory::create(root_ / "other");
  const RunDirectory elsewhere = RunDirectory::create(root_ / "a" / "b" / "elsewhere");
  const fs::path closed_run = root_ / "private";
  const fs::path closed_folder = root_ / "a" / "b" / "private";
  fs::create_directory(closed_run);
  fs::create_directory(closed_folder);
  ASSERT_EQ(run_.path().parent_path().filename(), "runs");
  const std::tuple<RunDirectory, fs::path, bool> cases[] = {
      {run_, other.checkpoints(), true},
      {run_, closed_run, true},
      // No place of runs: any folder may lie there, as in /tmp.
      {elsewhere, closed_folder, false}};
  for (const auto& [run, closed, counts] : cases) {
    fs::permissions(closed, fs::perms::none);
    const pid_t child = fork();
    if (child == 0) {
      give_up_the_rights_of_root();
      const RetentionKeeper keeper(run, {.keep_last = 1});
      if (!counts) _exit(keeper.unseen().empty() ? 0 : 1);
      const RetentionPlan plan = keeper.apply();
      const bool named = keeper.unseen().size() == 1 &&
                         closed.native().starts_with(keeper.unseen()[0].folder.native());
      const bool reasoned = plan.kept[0].reason.find("cannot be looked into and may refer to it") !=
                            std::string::npos;
      _exit(plan.removed.empty() && named && reasoned ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    fs::permissions(closed, fs::perms::owner_all);
    EXPECT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0) << closed;
  }
  EXPECT_EQ(run_.list().size(), 6U);
  EXPECT_THAT(kept({.keep_last = 1}), ElementsAre(6)) << "now that all can be looked into";
}

TEST_F(RetentionTest, KeeperSparesWhatTheRunItselfRefersTo) {
  Checkpoint resumed = sample::model(7, 7, 0.1);
  resumed.parents = {{sample::uuid(4), Relation::kResumed}};
  const RetentionKeeper keeper(run_, {.keep_last = 1});
  save(resumed, run_.checkpoints());
  keeper.apply();
  std::vector<std::uint64_t> epochs;
  for (const auto& entry : run_.list()) epochs.push_back(entry.epoch);
  EXPECT_THAT(epochs, ElementsAre(4, 7));
}

TEST_F(RetentionTest, RunThatIsRemovedMeanwhileNeedsNothing) {
  const RunDirectory other = RunDirectory::create(root_ / "other");
  const RunDirectory gone = RunDirectory::create(root_ / "gone");
  fs::remove_all(gone.path());
  EXPECT_TRUE(needs_outside(run_, {run_, other, gone}).needs.empty());
}

TEST_F(RetentionTest, RollingAndUnreadableFilesStay) {
  save(sample::model(20, 3, 0), run_.checkpoints(), {.kind = SaveKind::kRolling});
  std::ofstream(run_.checkpoints() / "broken.h5") << "x";
  const RetentionPlan plan = plan_retention(run_, {.keep_last = 1});
  std::set<std::string> kept_names;
  for (const auto& item : plan.kept) kept_names.insert(item.entry.path.filename());
  EXPECT_TRUE(kept_names.contains("broken.h5"));
  EXPECT_TRUE(kept_names.contains("checkpoint_model_tiny_net.h5"));
  EXPECT_EQ(kept_names.size(), 3U);
}

// A damaged file beside them once let every checkpoint go that no rule named.
TEST_F(RetentionTest, NewestReadableStateStaysBesideUnreadableFiles) {
  const RunDirectory run = RunDirectory::create(root_ / "unrated");
  for (int i = 1; i <= 3; ++i) {
    Checkpoint checkpoint = sample::model(30 + i, static_cast<std::uint64_t>(i), 0.1);
    checkpoint.metrics = Json::object();  // so that none is the best
    const fs::path path = save(checkpoint, run.checkpoints()).path;
    if (i == 3) std::ofstream(path) << "damaged, under a good name";
  }
  std::ofstream(run.checkpoints() / "broken.h5") << "x";
  std::set<std::uint64_t> epochs;
  for (const auto& item : plan_retention(run, {.keep_best = true}).kept)
    epochs.insert(item.entry.epoch);
  EXPECT_TRUE(epochs.contains(2)) << "the newest that can be read";
  EXPECT_TRUE(epochs.contains(3)) << "cannot be read: stays";
  EXPECT_FALSE(epochs.contains(1));
}

TEST_F(RetentionTest, DroppedOptimizerLeavesWeightsAndTheNewestAlone) {
  const Digest before = load((run_.path() / "<ep2>").native()).model.find("fc.weight")->digest();
  const RetentionPlan plan = plan_retention(run_, {.drop_optimizer = true});
  EXPECT_EQ(plan.reduced.size(), 5U);
  EXPECT_TRUE(plan.removed.empty());
  execute(plan);
  const Checkpoint reduced = load((run_.path() / "<ep2>").native());
  EXPECT_FALSE(reduced.resumable());
  EXPECT_EQ(reduced.uuid, sample::uuid(2));
  EXPECT_EQ(reduced.model.find("fc.weight")->digest(), before);
  EXPECT_TRUE(load((run_.path() / "<last>").native()).resumable());
  EXPECT_TRUE(plan_retention(run_, {.drop_optimizer = true}).reduced.empty());
}

TEST_F(RetentionTest, BytesAreThoseOfTheFiles) {
  const RetentionPlan plan = plan_retention(run_, {.keep_last = 2});
  std::uint64_t expected = 0;
  for (const auto& item : plan.removed) expected += fs::file_size(item.entry.path);
  EXPECT_EQ(plan.bytes(), expected);
  EXPECT_EQ(execute(plan), expected);
  EXPECT_EQ(execute(plan), 0U);  // all of it is gone already
}

}  // namespace
}  // namespace reprise::store
