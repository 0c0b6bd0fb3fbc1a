// Whole runs of `train` and `eval` as a GPU would have them, on a device whose memory the host
// cannot touch and whose streams have no order of their own. Its numbers are those of the CPU's
// kernels, one shard after another.
#include "ckpt/base/json.h"
#include "tests/train/training.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <regex>

namespace reprise::training {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

const Arguments kData = words(
    "--device watched --data builtin:digits --image-size 16 --patch-size 8 --max-samples 48 "
    "--max-eval-samples 16 --batch-size 8 --shards 2 --epochs 1 --log-every 1 --jobs 1 -q");
const std::map<std::string, Arguments> kRuns = {
    {"vit", words("--arch vit_tiny --dropout 0.1 --drop-path 0.1 --ema 0.9 --clip-grad 1 "
                  "--activation-checkpointing --accumulate 2")},
    {"resnet", words("--arch resnet18 --optimizer sgd --lr 0.001 --ema 0.9")},
    {"bf16", words("--arch vit_tiny --amp bf16 --optimizer lars --lr 0.01")},
    {"fp16", words("--arch vit_tiny --amp fp16 --clip-grad 1 --drop-path 0.1")},
    {"dino", words("--mode dino --arch vit_tiny --local-crops 1 --clip-grad 1 --max-samples 24")},
    {"dino of a resnet", words("--mode dino --arch resnet18 --local-crops 1 --max-samples 24")}};

class WatchedDevice : public ::testing::TestWithParam<std::string> {
 protected:
  Outcome run(const std::string& program, const Arguments& arguments) {
    return finish(start_program(scratch_, program, arguments));
  }
  std::string new_run(const std::string& name, const Arguments& arguments) {
    const std::string directory = scratch_ / name;
    learn(kData + kRuns.at(GetParam()) + words("--work-dir " + directory) + arguments);
    return directory;
  }
  void learn(const Arguments& arguments) {
    const Outcome outcome = run(REPRISE_BIN_WATCHED_TRAIN, arguments);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_THAT(outcome.err,
                ContainsRegex("watched device: 0 findings, [1-9][0-9]* bytes from pinned memory"));
  }

  Scratch scratch_;
};

TEST_P(WatchedDevice, TwoProcessesAResumeAndEvaluationGiveTheBitsOfOne) {
  const std::string one = new_run("one", {});
  const std::string two = new_run("two", words("--nproc 2"));
  EXPECT_EQ(ledger_digest(two), ledger_digest(one));
  EXPECT_EQ(checkpoint_digest(last_checkpoint(two)), checkpoint_digest(last_checkpoint(one)));

  const Outcome evaluated =
      run(REPRISE_BIN_WATCHED_EVAL,
          {last_checkpoint(one).string(), "--compare-origin", "--device", "watched"});
  EXPECT_EQ(evaluated.code, 0) << evaluated.err;

  // The middle of the epoch.
  const std::string resumed = new_run("resumed", words("--max-updates 1"));
  learn({"--resume-from", resumed, "--max-updates", "0", "--nproc", "2", "-q"});
  EXPECT_EQ(ledger_digest(resumed), ledger_digest(one));
  EXPECT_EQ(training_digest(last_checkpoint(resumed)), training_digest(last_checkpoint(one)));
}

// On a device of another kind auto finds another one, too: what it was is in the checkpoint.
TEST_P(WatchedDevice, AnotherKindOfDeviceIsRefusedWhenResuming) {
  const std::string stopped = new_run("stopped", words("--max-updates 1"));
  const Arguments resume = {"--resume-from", stopped, "--max-updates", "2", "-q", "--device"};
  for (const std::string device : {"auto", "cpu"}) {
    const Outcome outcome = run(REPRISE_BIN_WATCHED_TRAIN, resume + Arguments{device});
    EXPECT_EQ(outcome.code, 15) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("it was trained on watched, --device " + device + " is "));
  }
  learn(resume + Arguments{"watched:0"});
  const Outcome allowed = run(
      REPRISE_BIN_WATCHED_TRAIN,
      {"--resume-from", stopped, "--max-updates", "3", "--device", "cpu", "--allow-config-change"});
  EXPECT_EQ(allowed.code, 0) << allowed.err;
  EXPECT_THAT(allowed.err,
              HasSubstr("changed option: device = cpu, was watched (changes the bits"));
}

// All that its allocator handed out at the worst moment, and none of it twice.
TEST_P(WatchedDevice, ItsMemoryIsReportedByParts) {
  const auto report = [&](const Arguments& arguments) {
    const Outcome outcome =
        run(REPRISE_BIN_WATCHED_TRAIN, kData + kRuns.at(GetParam()) +
                                           words("--max-updates 2 --no-validate --memory-report "
                                                 "--json --work-dir " +
                                                 (scratch_ / "run")) +
                                           arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    std::filesystem::remove_all(scratch_ / "run");
    const Json memory = parse_json(outcome.out)["memory"];
    EXPECT_THAT(outcome.err, HasSubstr(", " + memory["peak_bytes"].dump() + " bytes at the peak"));
    return memory;
  };
  const Json memory = report({});
  for (const char* part : {"weights", "optimizer", "activations", "backward"}) {
    EXPECT_GT(memory["highest"][part].get<std::uint64_t>(), 1U << 19) << part;
  }
  std::uint64_t sum = 0;
  for (const Json& bytes : memory["parts"]) sum += bytes.get<std::uint64_t>();
  EXPECT_EQ(sum, memory["peak_bytes"].get<std::uint64_t>());
  if (GetParam() != "vit") return;  // the one that does it already
  const Json without = report(words("--no-activation-checkpointing"));
  EXPECT_LT(memory["highest"]["activations"].get<std::uint64_t>(),
            0.6 * without["highest"]["activations"].get<double>());
}

// While the host waits for the device, the device has nothing to do: what is to be read of the
// shards comes at the end of an update, in one piece, and the device fetches samples on its own.
using WatchedDeviceHostWaits = WatchedDevice;
TEST_P(WatchedDeviceHostWaits, AreThoseOfAnUpdateNotOfItsShards) {
  const auto waits = [&](int shards, int updates) {
    const Outcome outcome =
        run(REPRISE_BIN_WATCHED_TRAIN,
            kData + kRuns.at(GetParam()) +
                words(fmt::format("--shards {} --max-updates {} --no-validate "
                                  "--work-dir {}/{}-{}",
                                  shards, updates, scratch_ / "run", shards, updates)));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    std::smatch found;
    EXPECT_TRUE(std::regex_search(outcome.err, found, std::regex("([0-9]+) host waits\n")));
    return std::stoi(found[1]);
  };
  const int start = waits(2, 1);
  const int update = waits(2, 2) - start;
  EXPECT_EQ(waits(4, 2) - start, update);
  // Losses and moments, the norm, running statistics of one or two networks; and for the ledger the
  // gradient, weights and their average or student, teacher and centre, up to two buffers of the
  // optimizer, and all that is small.
  EXPECT_LE(update, 11);
}

INSTANTIATE_TEST_SUITE_P(Runs, WatchedDeviceHostWaits,
                         ::testing::Values("vit", "resnet", "bf16", "fp16", "dino",
                                           "dino of a resnet"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::ranges::replace(name, ' ', '_');
                           return name;
                         });

INSTANTIATE_TEST_SUITE_P(Runs, WatchedDevice, ::testing::Values("vit", "resnet", "bf16", "dino"),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace reprise::training
