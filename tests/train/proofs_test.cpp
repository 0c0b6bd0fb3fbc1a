// The promises of docs/training.md, each as an equality of SHA-256.
#include "tests/train/training.h"

#include "ckpt/base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <map>
#include <sstream>
#include <thread>

namespace reprise::training {
namespace {

using ::testing::HasSubstr;

// A ViT with everything that draws random numbers, and averages: 4 updates an epoch. BatchNorm has
// its turn in kResNet.
const Arguments kViT = {"--arch",
                        "vit_tiny",
                        "--image-size",
                        "16",
                        "--patch-size",
                        "8",
                        "--dropout",
                        "0.1",
                        "--drop-path",
                        "0.1",
                        "--batch-size",
                        "12",
                        "--max-samples",
                        "48",
                        "--max-eval-samples",
                        "24",
                        "--epochs",
                        "3",
                        "--ema",
                        "0.9",
                        "--clip-grad",
                        "1",
                        "--log-every",
                        "1",
                        "-q"};
// A rate at which BatchNorm over two samples of one pixel does not diverge.
const Arguments kResNet = {"--arch",
                           "resnet18",
                           "--image-size",
                           "16",
                           "--batch-size",
                           "10",
                           "--shards",
                           "4",
                           "--accumulate",
                           "2",
                           "--optimizer",
                           "sgd",
                           "--lr",
                           "0.001",
                           "--max-samples",
                           "80",
                           "--max-eval-samples",
                           "24",
                           "--epochs",
                           "2",
                           "--log-every",
                           "1",
                           "-q"};

class Proofs : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = new Scratch;
    unstopped_ = *scratch_ / "unstopped";
    const Outcome outcome = train(*scratch_, kViT + Arguments{"--work-dir", unstopped_});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    ledger_ = ledger_digest(unstopped_);
    checkpoint_ = checkpoint_digest(last_checkpoint(unstopped_));
    training_ = training_digest(last_checkpoint(unstopped_));
  }
  static void TearDownTestSuite() { delete scratch_; }

  void TearDown() override {
    // Each run holds several checkpoints of 60 MB.
    for (const auto& entry : std::filesystem::directory_iterator(scratch_->path())) {
      if (entry.path() != unstopped_) std::filesystem::remove_all(entry.path());
    }
  }

  // `run` ended with the bits of the unstopped one, evaluations included.
  static void expect_unstopped(const std::string& run) {
    EXPECT_EQ(ledger_digest(run), ledger_);
    EXPECT_EQ(checkpoint_digest(last_checkpoint(run)), checkpoint_);
  }
  // The same for the training part alone.
  static void expect_same_training(const std::string& run) {
    EXPECT_EQ(ledger_digest(run), ledger_);
    EXPECT_EQ(training_digest(last_checkpoint(run)), training_);
  }
  static std::string run_of(const std::string& name, const Arguments& arguments) {
    const std::string run = *scratch_ / name;
    const Outcome outcome = train(*scratch_, arguments + Arguments{"--work-dir", run});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return run;
  }

  static Scratch* scratch_;
  static std::string unstopped_;
  static std::string ledger_, checkpoint_, training_;  // its digests
};
Scratch* Proofs::scratch_ = nullptr;
std::string Proofs::unstopped_, Proofs::ledger_, Proofs::checkpoint_, Proofs::training_;

TEST_F(Proofs, StoppedByATermSignalInTheMiddleOfAnEpochAndResumed) {
  const std::string run = *scratch_ / "stopped";
  const Outcome stopped =
      train_and_signal(*scratch_, kViT + Arguments{"--work-dir", run}, run, 6, SIGTERM);
  EXPECT_EQ(stopped.code, 75) << stopped.err;
  const Outcome resumed = train(*scratch_, {"--resume-from", run, "-q"});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  expect_unstopped(run);
}

// All columns but time, data_time and memory, which are those of a process.
std::string rows_of(const std::string& run) {
  std::istringstream lines(read_file(run + "/train.tsv"));
  std::string out;
  for (std::string line; std::getline(lines, line);) {
    for (int i = 0; i < 3; ++i) line.resize(line.rfind('\t'));
    out += line + "\n";
  }
  return out;
}

// Row 3 and 6 span two stops and a row that --max-updates leaves at the end.
TEST_F(Proofs, RowsThatSpanStopsAreThoseOfTheUnstoppedRun) {
  const Arguments by_threes = kViT + words("--epochs 2 --log-every 3 --sync-save");
  const Arguments saves = words("--save-every-updates 1");
  const std::string whole = run_of("whole", by_threes + saves);
  const std::string run = *scratch_ / "rows";
  const Arguments hours = words("--max-hours 1e-9");
  EXPECT_EQ(train(*scratch_, by_threes + hours + Arguments{"--work-dir", run}).code, 75);
  const Arguments resume = {"--resume-from", run + "/<last>", "-q"};
  EXPECT_EQ(train(*scratch_, resume + hours).code, 75);
  EXPECT_EQ(train(*scratch_, resume + words("--max-hours 0 --max-updates 5")).code, 0);
  EXPECT_THAT(rows_of(run), HasSubstr("\n5\t"));
  EXPECT_EQ(train(*scratch_, resume + saves + words("--max-updates 0")).code, 0);
  std::string rows = rows_of(run);
  const std::size_t extra = rows.find("\n5\t");
  ASSERT_NE(extra, std::string::npos);
  rows.erase(extra, rows.find('\n', extra + 1) - extra);
  EXPECT_EQ(rows, rows_of(whole));
  EXPECT_EQ(ledger_digest(run), ledger_digest(whole));
  // In the middle of an interval too, but for the evaluation after update 5.
  EXPECT_EQ(training_digest(checkpoint_after(run, 7)), training_digest(checkpoint_after(whole, 7)));
}

// One of so many signals meets every kernel there is; the heap has to survive each. Those of the
// last milliseconds meet a process that has saved and leaves, and must not replace its exit code.
TEST_F(Proofs, StoppedBySignalsToItsVeryEndAndResumed) {
  const std::string run = *scratch_ / "signals";
  const Process process = start_train(*scratch_, kViT + Arguments{"--work-dir", run});
  ASSERT_TRUE(wait_for_update(process, run, 5));
  while (!has_ended(process)) {
    kill(process.pid, SIGTERM);
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  const Outcome stopped = finish(process);
  EXPECT_EQ(stopped.code, 75) << stopped.err;
  EXPECT_EQ(train(*scratch_, {"--resume-from", run, "-q"}).code, 0);
  expect_unstopped(run);
}

TEST_F(Proofs, KilledWhileSavingBesideTrainingAndResumed) {
  const std::string run = *scratch_ / "killed";
  const Outcome killed = train_and_signal(
      *scratch_, kViT + Arguments{"--work-dir", run, "--save-every-updates", "2"}, run, 5, SIGKILL);
  EXPECT_EQ(killed.code, 128 + SIGKILL);
  const Outcome resumed =
      train(*scratch_, {"--resume-from", run, "-q", "--save-every-updates", "0"});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  expect_unstopped(run);
}

TEST_F(Proofs, ResumedFromAnOlderCheckpointSetsLaterOnesAside) {
  const std::string run = run_of("rewound", kViT);
  const auto before = checkpoints(run);
  const Outcome resumed = train(*scratch_, {"--resume-from", run + "/<ep1>", "-q"});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  expect_unstopped(run);
  EXPECT_EQ(checkpoints(run).size(), before.size());
  EXPECT_TRUE(std::filesystem::exists(std::filesystem::path(run) / "superseded" /
                                      before.back().filename()));
  EXPECT_EQ(read_file(std::filesystem::path(run) / "valid.tsv"),
            read_file(std::filesystem::path(unstopped_) / "valid.tsv"));
}

TEST_F(Proofs, ResumedIntoAnotherDirectoryRepeatsTheRest) {
  const std::string run = *scratch_ / "replayed";
  const Outcome resumed =
      train(*scratch_, {"--resume-from", unstopped_ + "/<ep2>", "--work-dir", run, "-q"});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  expect_unstopped(run);
}

TEST_F(Proofs, SameCommandTwice) { expect_unstopped(run_of("again", kViT)); }

TEST_F(Proofs, OneAndThreeThreads) {
  expect_unstopped(run_of("one", kViT + Arguments{"--jobs", "1"}));
  expect_same_training(run_of("three", kViT + Arguments{"--jobs", "3", "--workers", "0"}));
}

TEST_F(Proofs, TwoProcessesAndOneAfterAResume) {
  const std::string run = *scratch_ / "processes";
  const Outcome stopped = train_and_signal(
      *scratch_, kViT + Arguments{"--work-dir", run, "--nproc", "2", "--jobs", "1"}, run, 6,
      SIGTERM);
  EXPECT_EQ(stopped.code, 75) << stopped.err;
  const Outcome resumed = train(*scratch_, {"--resume-from", run, "-q"});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  expect_unstopped(run);
}

TEST_F(Proofs, ActivationCheckpointing) {
  const std::string run = run_of("recomputed", kViT + Arguments{"--activation-checkpointing"});
  EXPECT_EQ(ledger_digest(run), ledger_);
}

TEST_F(Proofs, FourWorkersAndAnyPrefetch) {
  expect_same_training(run_of("four", kViT + Arguments{"--workers", "4", "--prefetch", "7"}));
  expect_same_training(run_of("one", kViT + Arguments{"--workers", "1", "--prefetch", "1"}));
}

TEST_F(Proofs, ValidationEveryUpdateEverySeventhAndNone) {
  expect_same_training(run_of("each", kViT + Arguments{"--val-every-updates", "1"}));
  expect_same_training(run_of("seventh", kViT + Arguments{"--val-every-updates", "7"}));
  expect_same_training(run_of("never", kViT + Arguments{"--no-validate"}));
}

TEST_F(Proofs, SynchronousSaves) {
  expect_same_training(run_of("sync", kViT + Arguments{"--sync-save"}));
}

TEST_F(Proofs, OutOfHoursAfterEachUpdateAndResumed) {
  const std::string run = *scratch_ / "hours";
  const Arguments hours = {"--max-hours", "1e-9"};
  Outcome outcome = train(*scratch_, kViT + hours + Arguments{"--work-dir", run});
  int stops = 0;
  for (; outcome.code == 75 && stops < 4; ++stops) {
    outcome = train(*scratch_, Arguments{"--resume-from", run + "/<last>", "-q"} + hours);
  }
  EXPECT_EQ(stops, 4);
  EXPECT_THAT(read_file(run + "/train.log"), HasSubstr("update 1: stopped by --max-hours"));
  outcome = train(*scratch_, {"--resume-from", run + "/<last>", "--max-hours", "0"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  expect_same_training(run);
}

// What passes before the first update counts as well: a job's limit is its process's.
TEST_F(Proofs, HoursAreThoseOfTheProcess) {
  const std::string run = *scratch_ / "hours-of-process";
  const Process process =
      start_train(*scratch_, kViT + words("--max-hours 0.0006 --work-dir " + run));
  using namespace std::chrono_literals;
  while (!has_ended(process) && !std::filesystem::exists(run + "/run.json")) {
    std::this_thread::sleep_for(1ms);
  }
  ::kill(process.pid, SIGSTOP);
  std::this_thread::sleep_for(2200ms);
  ::kill(process.pid, SIGCONT);
  const Outcome outcome = finish(process);
  EXPECT_EQ(outcome.code, 75) << outcome.err;
  EXPECT_THAT(read_file(run + "/train.log"), HasSubstr("stopped by --max-hours"));
}

TEST_F(Proofs, ResNetWithBatchNormAndAccumulationStoppedAndResumed) {
  const std::string whole = run_of("resnet", kResNet);
  const std::string run = *scratch_ / "resnet-stopped";
  const Outcome stopped = train_and_signal(
      *scratch_, kResNet + Arguments{"--work-dir", run, "--jobs", "1"}, run, 2, SIGUSR1);
  EXPECT_EQ(stopped.code, 75) << stopped.err;
  const Outcome resumed = train(*scratch_, {"--resume-from", run + "/<last>", "-q", "--jobs", "3"});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(ledger_digest(run), ledger_digest(whole));
  EXPECT_EQ(checkpoint_digest(last_checkpoint(run)), checkpoint_digest(last_checkpoint(whole)));
}

TEST_F(Proofs, EvaluationOfEachEpochEqualsTrainingAtAnyBatchSize) {
  for (const char* batch : {"1", "64"}) {
    const Outcome outcome =
        eval(*scratch_, {unstopped_, "--all", "--compare-origin", "--batch-size", batch});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("3 of 3 evaluations equal"));
  }
  // Each of the two left a record of its process, which says how it ended.
  const Json records = parse_json(read_file(std::filesystem::path(unstopped_) / "fingerprint.json"))
                           .at("predicate")
                           .at("runDetails")
                           .at("reprise_records");
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[1].at("kind"), "eval");
  EXPECT_EQ(records[2].at("exit_code"), 0);
}

TEST_F(Proofs, ChangedEvaluationIsSaidToDifferAndWhy) {
  const Outcome outcome =
      eval(*scratch_, {unstopped_ + "/<last>", "--compare-origin", "--max-eval-samples", "16"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("max-eval-samples is 16, was 24"));
}

TEST_F(Proofs, SelfcheckRunsTwiceAndWritesNothing) {
  const std::string run = *scratch_ / "selfcheck";
  const Arguments check = {"--selfcheck", "--selfcheck-updates", "2", "--work-dir", run};
  const Outcome outcome = train(*scratch_, kViT + check);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("tensors have the same bits"));
  EXPECT_FALSE(std::filesystem::exists(run));
  const Outcome finished = train(*scratch_, {"--resume-from", unstopped_, "--selfcheck"});
  EXPECT_EQ(finished.code, 2);
  EXPECT_THAT(finished.err, HasSubstr("no update is left"));
}

TEST_F(Proofs, AnotherSeedGivesOtherBits) {
  // Without this one, everything above could pass because nothing ever changes.
  const std::string run = run_of("seed", kViT + Arguments{"--seed", "1"});
  EXPECT_NE(ledger_digest(run), ledger_);
  EXPECT_NE(training_digest(last_checkpoint(run)), training_);
}

}  // namespace
}  // namespace reprise::training
