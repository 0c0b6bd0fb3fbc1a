// The `migrate` binary on real legacy files: what a user has afterwards, whatever happens.
#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/base/json.h"
#include "ckpt/base/uuid.h"
#include "ckpt/container/pth_write.h"
#include "ckpt/store/load.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <map>
#include <random>

namespace reprise::migrate {
namespace {
namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

struct Outcome {
  int exit_code = -1;
  std::string out;  // stdout and stderr
};

std::vector<std::string> command_of(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), REPRISE_BIN_MIGRATE);
  return arguments;
}

pid_t start(const std::vector<std::string>& command, const fs::path& output) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0644);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  pid_t pid = 0;
  EXPECT_EQ(posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ), 0);
  posix_spawn_file_actions_destroy(&actions);
  return pid;
}

class Migrate : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("reprise-migrate-" + Uuid::random().text());
    fs::create_directory(folder_);
    legacy_ = fs::path(REPRISE_SHARED_DIR) / "legacy";
    ASSERT_TRUE(fs::exists(legacy_)) << "the shared folder with legacy files is needed";
  }
  void TearDown() override { fs::remove_all(folder_); }

  Outcome run(const std::vector<std::string>& arguments) {
    const fs::path output = folder_ / "output.txt";
    int status = 0;
    waitpid(start(command_of(arguments), output), &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_text(output)};
  }
  fs::path copy(const std::string& name) {
    const fs::path target = folder_ / fs::path(name).filename();
    fs::copy_file(legacy_ / name, target);
    return target;
  }
  // Every file below a folder with its digest.
  static std::map<std::string, std::string> digests(const fs::path& folder) {
    std::map<std::string, std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (entry.is_regular_file())
        found[fs::relative(entry.path(), folder).native()] = sha256_file(entry.path()).hex();
    }
    return found;
  }

  fs::path folder_, legacy_;
};

TEST_F(Migrate, WritesBesideAndLeavesTheSource) {
  const fs::path source = copy("ma/v1-dino-namespace.pth");
  const Digest before = sha256_file(source);
  const Outcome outcome = run({source.native()});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.out;
  EXPECT_EQ(sha256_file(source), before);
  const Checkpoint checkpoint = store::load((folder_ / "v1-dino-namespace.v5.h5").native());
  EXPECT_TRUE(checkpoint.resumable());
  EXPECT_EQ(checkpoint.source.as_dict().get("sha256").as_string(), before.hex());
}

TEST_F(Migrate, PlanWritesNothing) {
  const fs::path source = copy("ma/v3-supervised.pth");
  const Outcome outcome = run({source.native(), "--plan"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("v3 -> v4"));
  EXPECT_FALSE(fs::exists(folder_ / "v3-supervised.v5.h5"));
}

TEST_F(Migrate, FileWithoutDenseWeightsSaysWhatItHolds) {
  for (const auto& [name, kind] : std::map<std::string, std::string>{
           {"sparse", "'coo' is sparse"}, {"quantized", "quantized"}, {"meta", "meta device"}}) {
    const Outcome outcome = run({copy("containers/tensors/" + name + ".pth").native()});
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_THAT(outcome.out, AllOf(HasSubstr("no dense tensor"), HasSubstr(kind))) << name;
  }
}

// 1.7 KB in which a parameter's optimizer state holds itself ended the whole batch.
TEST_F(Migrate, StateInsideItselfDoesNotEndTheBatch) {
  Document document;
  Arena& arena = *document.arena;
  const auto dict = [&](std::initializer_list<std::pair<std::string_view, Value>> entries) {
    const Value made = arena.dict();
    for (const auto& [key, value] : entries) made.as_dict().append(arena, key, value);
    return made;
  };
  const float one = 1;
  const Value tensor =
      arena.tensor(Tensor::copy_of(DType::kFloat32, {1}, std::as_bytes(std::span(&one, 1))));
  const Value of_parameter = dict({{"step", Value::integer(1)}, {"exp_avg", tensor}});
  of_parameter.as_dict().append(arena, "self", of_parameter);
  const Value state = arena.dict();
  state.as_dict().append(arena, Value::integer(0), of_parameter);
  document.root = dict({{"model", dict({{"w", tensor}})},
                        {"optimizer", dict({{"state", state}, {"param_groups", arena.list()}})},
                        {"epoch", Value::integer(1)}});
  container::write_pth(folder_ / "cycle.pth", document);
  copy("ma/v4-supervised.pth");
  const Json json = Json::parse(run({folder_.native(), "--json"}).out);
  EXPECT_EQ(json.at("files").size(), 2U);
  EXPECT_EQ(json.at("summary").at("migrated"), 2) << json.dump(2);
}

TEST_F(Migrate, JsonHasTheKeysOfTheInterface) {
  const fs::path source = copy("dialects/mmengine/epoch_3.pth");
  const Json json = Json::parse(run({source.native(), "--json"}).out);
  const Json& file = json.at("files").at(0);
  for (const char* key : {"source", "target", "dialect", "from", "to", "steps", "unmapped",
                          "source_sha256", "ok", "error"}) {
    EXPECT_TRUE(file.contains(key)) << key;
  }
  EXPECT_EQ(file.at("dialect"), "mmengine");
  EXPECT_EQ(file.at("unmapped"), Json::array({"message_hub"}));
  EXPECT_EQ(file.at("source_sha256"), sha256_file(source).hex());
  EXPECT_TRUE(file.at("ok").get<bool>());
}

TEST_F(Migrate, OneBadFileDoesNotStopTheRest) {
  copy("ma/v4-supervised.pth");
  write_text(folder_ / "a-bad.pth", "this is no checkpoint at all");
  write_text(folder_ / "empty.pth", "");
  std::string truncated = read_text(copy("ma/v2-head.pth"));
  write_text(folder_ / "v2-head.pth", truncated.substr(0, truncated.size() / 2));
  const Outcome outcome = run({folder_.native(), "-o", (folder_ / "new").native()});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_TRUE(fs::exists(folder_ / "new" / "v4-supervised.v5.h5"));
  EXPECT_FALSE(fs::exists(folder_ / "new" / "a-bad.v5.h5"));
  EXPECT_THAT(outcome.out, HasSubstr("3 of 4 files failed"));
}

// Its SHA-256, which begins beside everything else, took ten seconds to end.
TEST_F(Migrate, LargeFileThatIsCorruptIsRefusedAtOnce) {
  const fs::path source = folder_ / "large.pth";
  write_text(source, "PK\x03\x04 and then nothing");
  fs::resize_file(source, std::uintmax_t{40} << 30);  // a hole
  const auto begun = std::chrono::steady_clock::now();
  const Outcome outcome = run({source.native()});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.out, HasSubstr("large.pth"));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(6));
}

TEST_F(Migrate, SecondRunFindsItsWorkDone) {
  const fs::path source = copy("ma/v4-supervised.pth");
  ASSERT_EQ(run({source.native()}).exit_code, 0);
  const Digest result = sha256_file(folder_ / "v4-supervised.v5.h5");
  const Outcome again = run({source.native()});
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_THAT(again.out, HasSubstr("done"));
  EXPECT_EQ(sha256_file(folder_ / "v4-supervised.v5.h5"), result);
}

TEST_F(Migrate, ForeignFileInTheWayIsNotReplaced) {
  const fs::path source = copy("ma/v4-supervised.pth");
  const fs::path other = copy("ma/v4-dino.pth");
  ASSERT_EQ(run({other.native()}).exit_code, 0);
  fs::rename(folder_ / "v4-dino.v5.h5", folder_ / "v4-supervised.v5.h5");
  const Digest before = sha256_file(folder_ / "v4-supervised.v5.h5");
  const Outcome outcome = run({source.native()});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.out, HasSubstr("exists and was not made from"));
  EXPECT_EQ(sha256_file(folder_ / "v4-supervised.v5.h5"), before);
}

TEST_F(Migrate, ReplaceKeepsTheOriginalInTheBackup) {
  const fs::path source = copy("ma/v2-dino.pth");
  const Digest before = sha256_file(source);
  const fs::path backup = folder_ / "backup";
  EXPECT_EQ(run({source.native(), "--replace"}).exit_code, 2);
  ASSERT_EQ(run({source.native(), "--replace", "--backup", backup.native()}).exit_code, 0);
  EXPECT_FALSE(fs::exists(source));
  EXPECT_EQ(sha256_file(backup / "v2-dino.pth"), before);
  store::load((folder_ / "v2-dino.h5").native());
}

TEST_F(Migrate, ReplaceByPthTakesTheSameName) {
  const fs::path source = copy("ma/v2-dino.pth");
  const Digest before = sha256_file(source);
  const fs::path backup = folder_ / "backup";
  const Outcome outcome =
      run({source.native(), "--to", "pth", "--replace", "--backup", backup.native()});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.out;
  EXPECT_EQ(sha256_file(backup / "v2-dino.pth"), before);
  EXPECT_NE(sha256_file(source), before);
  EXPECT_EQ(store::open_checkpoint(source.native()).schema, 5);
}

// With the backup in the source's own folder the original counted as its own backup, and went.
TEST_F(Migrate, OriginalIsNeverItsOwnBackup) {
  const fs::path deep = folder_ / "in" / "deep";
  fs::create_directories(deep);
  const fs::path source = deep / "v2-dino.pth";
  fs::rename(copy("ma/v2-dino.pth"), source);
  const Digest before = sha256_file(source);
  EXPECT_EQ(run({source.native(), "--replace", "--backup", deep.native()}).exit_code, 2);
  EXPECT_EQ(sha256_file(source), before);

  // A way back that a plan does not see.
  fs::create_directory(folder_ / "backup");
  fs::create_directory_symlink(deep, folder_ / "backup" / "deep");
  const Outcome outcome = run({(folder_ / "in").native(), "--recursive", "--replace", "--backup",
                               (folder_ / "backup").native()});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.out, HasSubstr("is the original itself"));
  EXPECT_EQ(sha256_file(source), before);
}

TEST_F(Migrate, BackupOfASymbolicLinkIsTheFileBehindIt) {
  fs::create_directories(folder_ / "store");
  fs::rename(copy("ma/v2-dino.pth"), folder_ / "store" / "real.pth");
  const Digest before = sha256_file(folder_ / "store" / "real.pth");
  fs::create_symlink("store/real.pth", folder_ / "v2-dino.pth");
  const fs::path backup = folder_ / "deep" / "backup";
  ASSERT_EQ(
      run({(folder_ / "v2-dino.pth").native(), "--replace", "--backup", backup.native()}).exit_code,
      0);
  EXPECT_FALSE(fs::is_symlink(backup / "v2-dino.pth"));
  EXPECT_EQ(sha256_file(backup / "v2-dino.pth"), before);
  EXPECT_EQ(sha256_file(folder_ / "store" / "real.pth"), before);
}

TEST_F(Migrate, UnfinishedResultsOfOtherMachinesStay) {
  const fs::path source = copy("ma/v2-dino.pth");
  const fs::path theirs = folder_ / ".reprise-migrate.tmp-99999999-00000000-01234567.h5";
  const fs::path ours = folder_ / (".reprise-migrate.tmp-99999999" +
                                   writer_mark().substr(writer_mark().find('-')) + ".h5.tmp-1");
  write_text(theirs, "being written over a network");
  write_text(ours, "left by a process that is gone");
  ASSERT_EQ(run({source.native()}).exit_code, 0);
  EXPECT_TRUE(fs::exists(theirs));
  EXPECT_FALSE(fs::exists(ours));
}

TEST_F(Migrate, PlanKnowsWhatIsInTheWay) {
  const fs::path source = copy("ma/v4-supervised.pth");
  ASSERT_EQ(run({source.native()}).exit_code, 0);
  EXPECT_THAT(run({source.native(), "--plan"}).out, HasSubstr("done "));
  fs::copy_file(legacy_ / "ma/v4-dino.pth", source, fs::copy_options::overwrite_existing);
  const Outcome outcome = run({source.native(), "--plan"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.out, HasSubstr("exists and was not made from"));
}

TEST_F(Migrate, HalfOfAPairNamesTheOther) {
  const fs::path state = copy("dialects/xdpx/checkpoint-200.pts");
  const Outcome outcome = run({state.native()});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.out, HasSubstr(".pt"));
}

TEST_F(Migrate, ReportsAreWritten) {
  copy("dialects/lightning/attribute-dict.ckpt");
  write_text(folder_ / "<script>.pth", "no");
  const fs::path page = folder_ / "new" / "report.html";  // a folder that nothing else makes
  run({folder_.native(), "--report", page.native(), "--report",
       (folder_ / "report.json").native()});
  EXPECT_THAT(read_text(page), HasSubstr("&lt;script&gt;.pth"));
  EXPECT_THAT(read_text(page), ::testing::Not(HasSubstr("<script>")));
  EXPECT_THAT(read_text(page), HasSubstr("<td>lightning, pth-zip<td class=\"n\">1<td"));
  EXPECT_EQ(Json::parse(read_text(folder_ / "report.json")).at("summary").at("failed"), 1);
  EXPECT_EQ(run({folder_.native(), "--report", "x.doc"}).exit_code, 2);
}

TEST_F(Migrate, BatchKilledAtRandomMomentsEndsWithTheSameFiles) {
  const fs::path sources = folder_ / "sources";
  fs::copy(legacy_ / "ma", sources);
  ASSERT_EQ(run({sources.native(), "-o", (folder_ / "whole").native()}).exit_code, 0);

  const fs::path broken = folder_ / "broken";
  std::mt19937 random(7);
  int killed = 0;
  for (int i = 0; i < 25; ++i) {
    const pid_t pid =
        start(command_of({sources.native(), "-o", broken.native()}), folder_ / "output.txt");
    usleep(std::uniform_int_distribution<useconds_t>(1000, 60'000)(random));
    kill(pid, SIGKILL);
    int status = 0;
    waitpid(pid, &status, 0);
    killed += WIFSIGNALED(status) ? 1 : 0;
    // Whatever is visible is whole.
    for (const auto& entry : fs::directory_iterator(folder_)) {
      if (entry.path() != broken) continue;
      for (const auto& result : fs::directory_iterator(broken)) {
        if (!result.path().filename().native().starts_with('.'))
          store::load(result.path().native());
      }
    }
  }
  EXPECT_GT(killed, 0);
  ASSERT_EQ(run({sources.native(), "-o", broken.native()}).exit_code, 0);
  EXPECT_EQ(digests(broken), digests(folder_ / "whole"));
}

}  // namespace
}  // namespace reprise::migrate
