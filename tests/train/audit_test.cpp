// Two real runs that differ in exactly one thing: `repro audit` names the update, what parted
// first, and the cause among its first three explanations. And `repro replay` of what was not
// changed.
#include "ckpt/base/json.h"
#include "ckpt/store/load.h"
#include "ckpt/store/reference.h"
#include "ckpt/store/save.h"
#include "engine/data/sampler.h"
#include "repro/tensorboard/png.h"
#include "tests/repro/shell.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <regex>

namespace reprise::training {
namespace {

using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using testing_shell::get;
using testing_shell::must;
using testing_shell::put;
using testing_shell::Scratch;
using testing_shell::shell;

namespace fs = std::filesystem;

constexpr int kImages = 16;  // of each of two classes
constexpr std::uint64_t kBatch = 4;
constexpr std::uint64_t kPerEpoch = 2 * kImages / kBatch;
const std::string kSettings =
    "--arch vit_tiny --image-size 16 --patch-size 8 --optimizer sgd --lr 0.01 --dropout 0.1 "
    "--epochs 2 --batch-size 4 --no-validate --log-every 1 -q";

void put_image(const fs::path& path, int seed) {
  std::vector<std::uint8_t> pixels;
  for (int i = 0; i < 16 * 16 * 3; ++i) {
    pixels.push_back(static_cast<std::uint8_t>((i * (seed + 3) + i / 7 * seed) % 251));
  }
  put(path, tensorboard::encode_png({16, 16, 3, pixels}));
}

// What audit --json says.
struct Verdict {
  bool same = false;
  std::uint64_t update = 0, compared = 0;
  std::string what;
  std::vector<std::string> causes;  // the first three
};

class Audit : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = new Scratch;
    for (int i = 0; i < 2 * kImages; ++i) {
      put_image(
          *scratch_ / "data" / (i < kImages ? "left" : "right") / (std::to_string(i) + ".png"), i);
    }
    run_in(scratch_->path(), "base", "");
  }
  static void TearDownTestSuite() { delete scratch_; }

  // Trains in `place` with the settings of all runs and `more`, into the run directory `name`.
  static void run_in(const fs::path& place, const std::string& name, const std::string& more,
                     const std::string& program = REPRISE_BIN_TRAIN) {
    must(place, program + " --data " + (*scratch_ / "data").string() + " --seed 3 " + kSettings +
                    " --work-dir " + name + " " + more);
  }
  // A copy of the base run, resumed after its first epoch.
  static void resume_copy(const std::string& name, const std::string& more) {
    must(scratch_->path(), "cp -r base " + name);
    must(scratch_->path(),
         std::string(REPRISE_BIN_TRAIN) + " -q --resume-from '" + name + "/<ep1>' " + more);
  }

  static Verdict audit(const std::string& a, const std::string& b) {
    const auto outcome =
        shell(scratch_->path(), std::string(REPRISE_BIN_REPRO) + " audit --json " + a + " " + b);
    const Json json = parse_json(outcome.out);
    Verdict verdict;
    verdict.same = json.at("same").get<bool>();
    EXPECT_EQ(outcome.code, verdict.same ? 0 : 1);
    verdict.compared = json.at("compared_updates").get<std::uint64_t>();
    if (verdict.same) return verdict;
    verdict.update = json.at("first_divergence").at("update").get<std::uint64_t>();
    verdict.what = json.at("first_divergence").at("what").get<std::string>();
    for (const Json& item : json.at("explanations")) {
      if (verdict.causes.size() < 3) verdict.causes.push_back(item.at("field").get<std::string>());
    }
    return verdict;
  }
  static testing_shell::Outcome replay(const std::string& arguments) {
    return shell(scratch_->path(), std::string(REPRISE_BIN_REPRO) + " replay " + arguments);
  }
  static fs::path checkpoint(const std::string& reference) {
    return store::resolve((*scratch_ / reference).string());
  }
  // Turns one bit of one weight in a checkpoint, which stays whole and valid.
  static void flip_bit(const fs::path& file) {
    Checkpoint whole = store::load(file.string());
    StateDict changed;
    for (const auto& [name, tensor] : whole.backbone) {
      std::vector<std::byte> bytes = tensor.to_bytes();
      if (changed.size() == 3) bytes[40] ^= std::byte{4};
      changed.append(name, Tensor::copy_of(tensor.dtype(), tensor.shape(), bytes));
    }
    whole.backbone = changed;
    store::save_as(whole, file);
  }

  static Scratch* scratch_;
};
Scratch* Audit::scratch_ = nullptr;

TEST_F(Audit, SameCommandAndOtherThreadsAreTheSameForEveryUpdate) {
  run_in(scratch_->path(), "again", "--jobs 1 --workers 0");
  run_in(scratch_->path(), "threads", "--jobs 3");
  for (const char* other : {"again", "threads"}) {
    const Verdict verdict = audit("base", other);
    EXPECT_TRUE(verdict.same) << other;
    EXPECT_EQ(verdict.compared, 2 * kPerEpoch);
  }
}

TEST_F(Audit, ResumedIsTheSameAsUnstoppedForEveryUpdate) {
  resume_copy("resumed", "");
  const Verdict verdict = audit("base", "resumed");
  EXPECT_TRUE(verdict.same);
  EXPECT_EQ(verdict.compared, 2 * kPerEpoch);
}

TEST_F(Audit, TensorBoardReadsEachStepOfAResumedRunOnce) {
  if (!fs::exists(REPRISE_PYTHON)) GTEST_SKIP() << "needs " REPRISE_PYTHON;
  resume_copy("watched", "");
  const Json seen = parse_json(
      must(scratch_->path(), std::string(REPRISE_PYTHON) +
                                 " " REPRISE_SOURCE_DIR
                                 "/tests/repro/tensorboard/read_events.py watched/tensorboard "
                                 "2>/dev/null"));
  const Json& points = seen.at("scalars").at("train/loss");
  ASSERT_EQ(points.size(), 2 * kPerEpoch);
  for (std::size_t i = 0; i < points.size(); ++i) EXPECT_EQ(points[i].at(0), i + 1);
  EXPECT_EQ(seen.at("images").size(), 8u);
  EXPECT_EQ(seen.at("settings").at("arch"), "vit_tiny");
}

TEST_F(Audit, Seed) {
  run_in(scratch_->path(), "seed", "--seed 4");
  const Verdict verdict = audit("base", "seed");
  EXPECT_EQ(verdict.update, 1u);
  EXPECT_EQ(verdict.what, "data");
  EXPECT_THAT(verdict.causes, Contains("seeds.seed"));
}

TEST_F(Audit, OneTrainingImage) {
  // Files are sorted by name within their class, so the sample ids are known.
  std::vector<std::string> names;
  for (int i = 0; i < kImages; ++i) names.push_back(std::to_string(i) + ".png");
  std::ranges::sort(names);
  const auto id = static_cast<std::uint64_t>(std::ranges::find(names, "5.png") - names.begin());
  engine::TrainSampler sampler(3, 2 * kImages, kBatch);
  std::uint64_t expected = 1;
  while (std::ranges::count(sampler.next().ids, id) == 0) ++expected;

  const fs::path image = *scratch_ / "data" / "left" / "5.png";
  const std::string before = get(image);
  put_image(image, 1000);
  run_in(scratch_->path(), "image", "");
  put(image, before);
  const Verdict verdict = audit("base", "image");
  EXPECT_EQ(verdict.update, expected);
  EXPECT_EQ(verdict.what, "loss");
  EXPECT_THAT(verdict.causes, Contains("data.train.sha256"));
}

TEST_F(Audit, BatchSize) {
  run_in(scratch_->path(), "batch", "--batch-size 8 --shards 4");
  const Verdict verdict = audit("base", "batch");
  EXPECT_EQ(verdict.update, 2u) << "the first update after which both have seen 8 samples";
  EXPECT_EQ(verdict.what, "data");
  EXPECT_THAT(verdict.causes, Contains("configuration.batch-size"));
}

TEST_F(Audit, LearningRateFromAnUpdateOn) {
  resume_copy("rate", "--lr 0.02 --allow-config-change");
  const Verdict verdict = audit("base", "rate");
  EXPECT_EQ(verdict.update, kPerEpoch + 1);
  EXPECT_EQ(verdict.what, "parameters");
  EXPECT_THAT(verdict.causes, Contains("configuration.lr"));
}

TEST_F(Audit, LineOfCode) {
  // The second program was built from the same sources, but for one line of the schedules.
  const std::string changed = get(REPRISE_CHANGED_SOURCE);
  ASSERT_NE(changed, get(REPRISE_UNCHANGED_SOURCE));
  for (const auto& [name, source, program] :
       {std::tuple{"one", REPRISE_UNCHANGED_SOURCE, REPRISE_BIN_TRAIN},
        std::tuple{"two", REPRISE_CHANGED_SOURCE, REPRISE_BIN_CHANGED_TRAIN}}) {
    const fs::path repository = *scratch_ / "code" / name;
    put(repository / "schedule.cpp", get(REPRISE_UNCHANGED_SOURCE));
    must(repository, "git init -q && git add -A && git commit -qm code");
    put(repository / "schedule.cpp", get(source));
    run_in(repository, "run", "", program);
  }
  const Verdict verdict = audit("code/one/run", "code/two/run");
  EXPECT_EQ(verdict.update, 8u);
  EXPECT_EQ(verdict.what, "parameters");
  EXPECT_THAT(verdict.causes, Contains("code.tree"));
  EXPECT_THAT(verdict.causes, Contains("software.program"));
}

TEST_F(Audit, OneBitOfOneWeight) {
  must(scratch_->path(), "cp -r base bit");
  flip_bit(checkpoint("bit/<ep1>"));
  const std::string resume =
      std::string(REPRISE_BIN_TRAIN) + " -q --resume-from 'bit/<ep1>' --ledger-tensors 1 ";
  const auto refused = shell(scratch_->path(), resume);
  EXPECT_EQ(refused.code, 15) << refused.out;
  EXPECT_THAT(refused.out, HasSubstr("the ledger recorded"));

  must(scratch_->path(), resume + "--allow-config-change");
  const Verdict verdict = audit("base", "bit");
  EXPECT_EQ(verdict.update, kPerEpoch + 1);
  EXPECT_EQ(verdict.what, "loss");
  ASSERT_FALSE(verdict.causes.empty());
  EXPECT_EQ(verdict.causes.front(), "state");
  const auto said = shell(scratch_->path(), std::string(REPRISE_BIN_REPRO) + " audit base bit");
  EXPECT_THAT(said.out, HasSubstr("B went on from weights"));
}

TEST_F(Audit, ReplayOfAnyStretchPasses) {
  for (const char* stretch : {"'<ep1>'", "'<ep1>' --updates 3"}) {
    const auto outcome = replay(std::string("base --from ") + stretch);
    EXPECT_EQ(outcome.code, 0) << outcome.out;
    EXPECT_THAT(outcome.out, HasSubstr("the same"));
  }
}

TEST_F(Audit, ReplayFromATamperedCheckpointFails) {
  must(scratch_->path(), "cp -r base tampered");
  const fs::path file = checkpoint("tampered/<ep1>");
  const std::string whole = get(file);
  flip_bit(file);
  const auto edited = replay("tampered --from '<ep1>' --updates 2");
  EXPECT_EQ(edited.code, 15) << edited.out;
  EXPECT_THAT(edited.out, HasSubstr("the ledger recorded"));

  std::string damaged = whole;
  damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 1);
  put(file, damaged);
  const auto broken = replay("tampered --from '<ep1>' --updates 2");
  EXPECT_EQ(broken.code, 12) << broken.out;
}

TEST_F(Audit, ReplayOfATamperedLedgerFails) {
  must(scratch_->path(), "cp -r base forged");
  const fs::path file = *scratch_ / "forged" / "ledger.jsonl";
  std::vector<std::string> lines;
  std::istringstream in(get(file));
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  const auto write = [&] {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    put(file, text);
  };
  // One digit of a digest: the chain breaks.
  std::string& line = lines.at(kPerEpoch + 2);
  const std::size_t digit = line.find("\"param\":\"") + 9;
  line[digit] = line[digit] == '0' ? '1' : '0';
  write();
  const auto broken = replay("forged --from '<ep1>'");
  EXPECT_EQ(broken.code, 12) << broken.out;

  // With the chain made anew, the replayed update gives it away.
  for (std::size_t i = kPerEpoch + 3; i < lines.size(); ++i) {
    const std::size_t prev = lines[i].find("\"prev\":\"") + 8;
    lines[i].replace(prev, 64, sha256(lines[i - 1]).hex());
  }
  write();
  const auto forged = replay("forged --from '<ep1>' --json");
  EXPECT_EQ(forged.code, 1) << forged.out;
  EXPECT_THAT(forged.out, HasSubstr("FAILED"));
  const auto whole = replay("forged --from '<ep1>' --updates 1");
  EXPECT_EQ(whole.code, 0) << "the update before the forged one";
}

}  // namespace
}  // namespace reprise::training
