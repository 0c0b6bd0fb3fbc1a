#include "ckpt/store/save.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/store/load.h"
#include "ckpt/store/run_directory.h"
#include "tests/ckpt/store/sample_checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

namespace reprise::store {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& item : fs::directory_iterator(folder)) names.push_back(item.path().filename());
  std::ranges::sort(names);
  return names;
}

Code code_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.code();
  }
  return Code{0};
}

TEST(Save, LoadsBackEqual) {
  const sample::Scratch folder;
  const Checkpoint saved = sample::model(1, 3, 0.25);
  const SaveReport report = save(saved, folder.path());
  EXPECT_EQ(report.path, folder / checkpoint_name(saved, SaveKind::kPersistent));
  EXPECT_EQ(report.bytes, fs::file_size(report.path));
  const LoadedCheckpoint loaded = open_checkpoint(report.path.native());
  EXPECT_EQ(loaded.container, "hdf5");
  EXPECT_EQ(loaded.schema, 5);
  EXPECT_EQ(loaded.dialect, "");
  const Checkpoint& c = loaded.checkpoint;
  EXPECT_EQ(c.uuid, saved.uuid);
  EXPECT_EQ(c.epoch, 3U);
  EXPECT_EQ(c.config, saved.config);
  EXPECT_EQ(c.metrics, saved.metrics);
  EXPECT_EQ(c.progress, saved.progress);
  EXPECT_TRUE(c.resumable());
  EXPECT_EQ(c.model.find("fc.weight")->digest(), saved.model.find("fc.weight")->digest());
  const Value group = c.optimizer.as_dict().get("param_groups").as_sequence().items[0];
  EXPECT_EQ(group.as_dict().get("betas").kind(), Kind::kTuple);
}

TEST(Save, SameStateSameBytes) {
  const sample::Scratch a;
  const sample::Scratch b;
  const fs::path first = save(sample::model(1, 3, 0.25), a.path(), {.jobs = 1}).path;
  const fs::path second = save(sample::model(1, 3, 0.25), b.path(), {.jobs = 3}).path;
  EXPECT_EQ(sha256_file(first), sha256_file(second));
}

TEST(Save, RollingSaveReplacesTheOneBefore) {
  const sample::Scratch folder;
  save(sample::model(1, 1, 0.1), folder.path(), {.kind = SaveKind::kRolling});
  const SaveReport report =
      save(sample::model(2, 2, 0.2), folder.path(), {.kind = SaveKind::kRolling});
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"checkpoint_model_tiny_net.h5"});
  EXPECT_EQ(load(report.path.native()).uuid, sample::uuid(2));
}

TEST(Save, RollingSaveThatIsSomebodysBackboneStays) {
  const sample::Scratch root;
  const RunDirectory run = RunDirectory::create(root / "net");
  const RunDirectory other = RunDirectory::create(root / "head");
  save(sample::model(1, 1, 0.1), run.checkpoints(), {.kind = SaveKind::kRolling});
  save(sample::head_for(9, sample::uuid(1)), other.checkpoints());
  save(sample::model(2, 2, 0.2), run.checkpoints(), {.kind = SaveKind::kRolling});
  EXPECT_THAT(
      names_in(run.checkpoints()),
      testing::ElementsAre("checkpoint_model_tiny_net.h5",
                           checkpoint_name(sample::model(1, 1, 0.1), SaveKind::kPersistent)));
}

TEST(Save, TwinHoldsTheSameAndIsNoEntryOfItsOwn) {
  const sample::Scratch folder;
  const SaveReport report = save(sample::model(1, 3, 0.25), folder.path(), {.pth_twin = true});
  ASSERT_TRUE(report.twin);
  EXPECT_EQ(report.bytes, fs::file_size(report.path) + fs::file_size(*report.twin));
  const Checkpoint twin = load(report.twin->native());
  EXPECT_EQ(twin.uuid, sample::uuid(1));
  EXPECT_TRUE(twin.resumable());
  const auto entries = list_checkpoints(folder.path());
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_EQ(entries[0].path, report.path);
  EXPECT_EQ(entries[0].twin, report.twin);
  EXPECT_EQ(entries[0].bytes, report.bytes);
}

TEST(Save, LeftoversOfDeadWritersGo) {
  const sample::Scratch folder;
  const pid_t child = fork();
  if (child == 0) {
    DurableFile abandoned(folder / "x.h5");
    _exit(0);  // no destructor runs, as after SIGKILL
  }
  waitpid(child, nullptr, 0);
  ASSERT_EQ(names_in(folder.path()).size(), 1U);
  save(sample::model(1, 1, 0), folder.path());
  EXPECT_EQ(names_in(folder.path()).size(), 1U);
  EXPECT_TRUE(names_in(folder.path())[0].starts_with("checkpoint_model"));
}

TEST(Save, FieldsThatContradictEachOtherAreRefused) {
  const sample::Scratch folder;
  Checkpoint c = sample::model(1, 1, 0);
  c.model = StateDict();
  EXPECT_EQ(code_of([&] { save(c, folder.path()); }), Code::kCorrupt);
  EXPECT_TRUE(names_in(folder.path()).empty());
}

TEST(Save, MissingFolderIsNotFound) {
  EXPECT_EQ(code_of([] { save(sample::model(1, 1, 0), "/nonexistent/folder"); }), Code::kNotFound);
}

// A limit on file size fails a write as a full disk does, on any machine.
TEST(Save, FullDiskLeavesThePreviousSaveWhole) {
  const sample::Scratch folder;
  save(sample::model(1, 1, 0.5), folder.path(), {.kind = SaveKind::kRolling});
  const fs::path file = folder / "checkpoint_model_tiny_net.h5";
  const Digest before = sha256_file(file);
  Checkpoint larger = sample::model(2, 2, 0.5);
  larger.model.append("big", sample::floats({1 << 20}, 0));
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1 << 20, 1 << 20};
    setrlimit(RLIMIT_FSIZE, &limit);
    _exit(static_cast<int>(
        code_of([&] { save(larger, folder.path(), {.kind = SaveKind::kRolling}); })));
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 11);
  EXPECT_EQ(sha256_file(file), before);
  EXPECT_EQ(names_in(folder.path()).size(), 1U);
}

TEST(SaveAs, SafetensorsKeepsWeightsAndTextAndListsTheRest) {
  const sample::Scratch folder;
  const Checkpoint c = sample::model(1, 3, 0.25);
  EXPECT_THAT(losses(c, FileFormat::kSafetensors), testing::ElementsAre("optimizer"));
  EXPECT_TRUE(losses(c, FileFormat::kHdf5).empty());
  save_as(c, folder / "w.safetensors");
  const Checkpoint again = load((folder / "w.safetensors").native());
  EXPECT_EQ(again.uuid, c.uuid);
  EXPECT_EQ(again.config, c.config);
  EXPECT_EQ(again.metrics, c.metrics);
  EXPECT_EQ(again.progress, c.progress);
  EXPECT_EQ(again.model.find("fc.weight")->digest(), c.model.find("fc.weight")->digest());
  EXPECT_FALSE(again.resumable());
}

TEST(SaveAs, SafetensorsOfTwoNetworksKeepsThemApart) {
  const sample::Scratch folder;
  Checkpoint c = sample::model(1, 3, 0.25);
  c.type = CheckpointType::kDino;
  c.student = c.model;
  c.teacher.append("backbone.x", sample::floats({2}, 5));
  c.model = StateDict();
  c.optimizer = Value();
  save_as(c, folder / "w.safetensors");
  const Checkpoint again = load((folder / "w.safetensors").native());
  EXPECT_EQ(again.type, CheckpointType::kDino);
  EXPECT_EQ(again.student.size(), 2U);
  EXPECT_EQ(again.teacher.find("backbone.x")->digest(), c.teacher.find("backbone.x")->digest());
}

TEST(SaveAs, UnknownSuffixIsAUsageError) {
  EXPECT_EQ(code_of([] { save_as(sample::model(1, 1, 0), "/tmp/x.onnx"); }), Code::kUsage);
}

TEST(Load, DirectoryAndTruncatedAndForeignFilesAreNamed) {
  const sample::Scratch folder;
  const fs::path good = save(sample::model(1, 1, 0.5), folder.path()).path;
  EXPECT_EQ(code_of([&] { load(folder.path().native()); }), Code::kUsage);
  EXPECT_EQ(code_of([&] { load((folder / "none.h5").native()); }), Code::kNotFound);
  std::ofstream(folder / "text.h5") << "hello, this is no checkpoint at all";
  EXPECT_EQ(code_of([&] { load((folder / "text.h5").native()); }), Code::kCorrupt);
  fs::copy_file(good, folder / "short.h5");
  fs::resize_file(folder / "short.h5", fs::file_size(good) - 1);
  EXPECT_EQ(code_of([&] { load((folder / "short.h5").native()); }), Code::kCorrupt);
}

TEST(Load, FlippedBitInATensorIsFoundByDefault) {
  const sample::Scratch folder;
  Checkpoint c = sample::model(1, 1, 0.5);
  c.model.append("large", sample::floats({4096}, 1));
  const fs::path file = save(c, folder.path()).path;
  // The bytes of a float that occurs nowhere else.
  const float needle = 3333;
  std::string bytes = read_text(file);
  const std::string pattern(reinterpret_cast<const char*>(&needle), sizeof needle);
  const auto at = bytes.find(pattern);
  ASSERT_NE(at, std::string::npos);
  bytes[at] = static_cast<char>(bytes[at] ^ 1);
  std::ofstream(file, std::ios::binary) << bytes;
  EXPECT_EQ(code_of([&] { load(file.native()); }), Code::kCorrupt);
}

}  // namespace
}  // namespace reprise::store
