#include "ckpt/store/checkpoint_list.h"

#include "ckpt/base/error.h"
#include "ckpt/store/save.h"
#include "tests/ckpt/store/sample_checkpoint.h"

#include <gtest/gtest.h>

#include <fstream>

namespace reprise::store {
namespace {

std::vector<Uuid> uuids(const std::vector<CheckpointEntry>& entries) {
  std::vector<Uuid> list;
  for (const CheckpointEntry& entry : entries) list.push_back(entry.uuid);
  return list;
}

TEST(CheckpointList, OldestStateFirst) {
  const sample::Scratch folder;
  save(sample::model(3, 10, 0), folder.path());
  save(sample::model(1, 2, 0), folder.path());
  save(sample::model(2, 9, 0), folder.path());
  EXPECT_EQ(uuids(list_checkpoints(folder.path())),
            (std::vector{sample::uuid(1), sample::uuid(2), sample::uuid(3)}));
}

TEST(CheckpointList, SavesOfOneEpochAreOrderedByUpdate) {
  const sample::Scratch folder;
  const std::uint64_t updates[] = {27, 21, 20, 25};
  for (int i = 0; i < 4; ++i) {
    Checkpoint c = sample::model(i, 2, 0);
    c.progress->update = updates[i];
    save(c, folder.path());
  }
  EXPECT_EQ(uuids(list_checkpoints(folder.path())),
            (std::vector{sample::uuid(2), sample::uuid(1), sample::uuid(3), sample::uuid(0)}));
}

TEST(CheckpointList, RollingSaveIsPlacedByItsState) {
  const sample::Scratch folder;
  save(sample::model(1, 1, 0), folder.path());
  save(sample::model(3, 3, 0), folder.path());
  Checkpoint rolling = sample::model(2, 1, 0);
  rolling.progress->update = 15;
  save(rolling, folder.path(), {.kind = SaveKind::kRolling});
  const auto entries = list_checkpoints(folder.path());
  EXPECT_EQ(uuids(entries), (std::vector{sample::uuid(1), sample::uuid(2), sample::uuid(3)}));
  EXPECT_TRUE(entries[1].rolling);
}

TEST(CheckpointList, UnreadableFilesAreEntriesWithAProblem) {
  const sample::Scratch folder;
  save(sample::model(1, 1, 0), folder.path());
  std::ofstream(folder / "broken.h5") << "not a checkpoint";
  std::ofstream(folder / "notes.txt") << "ignored";
  const auto entries = list_checkpoints(folder.path());
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_TRUE(entries[0].problem.has_value());
  EXPECT_FALSE(entries[1].problem.has_value());
}

TEST(CheckpointList, MissingFolderIsNotFound) {
  try {
    list_checkpoints("/nonexistent");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kNotFound);
  }
}

}  // namespace
}  // namespace reprise::store
