// Processes and threads change no bit of `train`, and what happens when one of them fails.
#include "tests/train/training.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <stdexcept>
#include <thread>

namespace reprise::training {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// 40 samples to evaluate: two and a half micro-batches, so that no process count divides them.
const Arguments kViT = words(
    "--arch vit_tiny --image-size 16 --patch-size 8 --dropout 0.1 --drop-path 0.1 --batch-size 11 "
    "--shards 4 --accumulate 2 --max-samples 66 --max-eval-samples 40 --epochs 2 --ema 0.9 "
    "--clip-grad 1 --log-every 1 -q");
const Arguments kResNet = words(
    "--arch resnet18 --image-size 16 --batch-size 9 --shards 4 --accumulate 2 --optimizer sgd "
    "--lr 0.01 --max-samples 54 --max-eval-samples 40 --epochs 2 --ema 0.9 --clip-grad 1 "
    "--log-every 1 -q");
const Arguments kDino = words(
    "--mode dino --arch vit_tiny --image-size 16 --patch-size 8 --local-size 8 --local-crops 1 "
    "--dropout 0.1 --drop-path 0.1 --batch-size 6 --shards 4 --accumulate 2 --max-samples 36 "
    "--max-eval-samples 20 --epochs 2 --clip-grad 1 --momentum-teacher 0.9 --out-dim 96 "
    "--head-hidden 32 --head-bottleneck 16 --freeze-last-layer 0 --log-every 1 -q");

// Modes that learn with another checkpoint: 3 updates an epoch.
const Arguments kClasses = words(
    "--data builtin:digits --max-samples 48 --max-eval-samples 40 --batch-size 8 --accumulate 2 "
    "--shards 4 --epochs 2 --clip-grad 1 --log-every 1 -q");
const Arguments kStudent = words("--mode distill --arch vit_tiny --image-size 16 --patch-size 8");

// A port of the loopback that nothing listens on, or with `keep` one that something does.
class Port {
 public:
  explicit Port(bool keep) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    socklen_t size = sizeof address;
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    if (::bind(fd_, plain, size) != 0 || ::listen(fd_, 1) != 0 ||
        ::getsockname(fd_, plain, &size) != 0) {
      throw std::runtime_error("no port");
    }
    number_ = ntohs(address.sin_port);
    if (!keep) close();
  }
  ~Port() { close(); }
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;
  int number() const { return number_; }

 private:
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  int fd_;
  int number_ = 0;
};

// What a launcher on one machine sets.
Arguments place(int rank, int world, const Port& port) {
  return {"RANK=" + std::to_string(rank),
          "WORLD_SIZE=" + std::to_string(world),
          "LOCAL_RANK=" + std::to_string(rank),
          "LOCAL_WORLD_SIZE=" + std::to_string(world),
          "MASTER_ADDR=127.0.0.1",
          "MASTER_PORT=" + std::to_string(port.number())};
}

class TrainProcesses : public ::testing::Test {
 protected:
  // A trained network that others learn from.
  std::string teacher() const {
    return run_of("teacher",
                  words("--data builtin:digits --max-samples 16 --batch-size 8 --shards "
                        "2 --arch resnet18 --image-size 16 --epochs 1 --no-validate -q"));
  }
  std::string run_of(const std::string& name, const Arguments& arguments) const {
    const std::string run = scratch_ / name;
    const Outcome outcome = train(scratch_, arguments + Arguments{"--work-dir", run});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return run;
  }

  // What a run left: training, and exact evaluation, every metric to its last digit.
  struct Left {
    std::string ledger, checkpoint, evaluations;
    bool operator==(const Left&) const = default;
  };
  static Left left_by(const std::string& run) {
    return {ledger_digest(run), checkpoint_digest(last_checkpoint(run)),
            read_file(run + "/valid.tsv")};
  }
  static void expect_equal(const std::string& run, const Left& other) {
    const Left left = left_by(run);
    EXPECT_EQ(left.ledger, other.ledger);
    EXPECT_EQ(left.checkpoint, other.checkpoint);
    EXPECT_EQ(left.evaluations, other.evaluations);
  }

  // One thread of one process against `places`, and against a run that the three of `mix` share:
  // what some processes saved, another number of them goes on from.
  void expect_same_in(const Arguments& what, const Arguments& places,
                      const Arguments& mix = {}) const {
    const Left one = left_by(run_of("one", what + words("--nproc 1 --jobs 1")));
    for (const std::string& place : places) {
      SCOPED_TRACE(place);
      const std::string run = run_of("other", what + of(place));
      expect_equal(run, one);
      std::filesystem::remove_all(run);
    }
    if (mix.empty()) return;
    const std::string mixed = scratch_ / "mixed";
    const auto stop = [&](const Arguments& arguments, std::uint64_t update, int signal) {
      const Outcome outcome = train_and_signal(scratch_, arguments, mixed, update, signal);
      EXPECT_EQ(outcome.code, 75) << outcome.err;
    };
    stop(what + of(mix[0]) + words("--work-dir " + mixed), 1, SIGTERM);
    stop(of(mix[1]) + words("-q --resume-from " + mixed), 3, SIGUSR1);
    const Outcome last = train(scratch_, of(mix[2]) + words("-q --resume-from " + mixed));
    EXPECT_EQ(last.code, 0) << last.err;
    expect_equal(mixed, one);
  }

  // "2x3": two processes of three threads.
  static Arguments of(const std::string& place) {
    return {"--nproc", place.substr(0, 1), "--jobs", place.substr(2)};
  }

  Scratch scratch_;
};

TEST_F(TrainProcesses, DoNotChangeAVitWithDropoutDropPathAccumulationEmaAndClipping) {
  expect_same_in(kViT, {"1x3", "4x2"}, {"2x2", "1x1", "4x1"});
}

TEST_F(TrainProcesses, DoNotChangeAResNetWithBatchNormAccumulationEmaAndClipping) {
  expect_same_in(kResNet, {"2x3", "4x1"}, {"4x1", "2x1", "1x3"});
}

TEST_F(TrainProcesses, DoNotChangeDinoWithDropoutAccumulationTeacherAndClipping) {
  expect_same_in(kDino, {"2x2", "4x1"}, {"2x1", "1x3", "4x2"});
}

TEST_F(TrainProcesses, DoNotChangeAHeadOnAFrozenBackbone) {
  const Arguments what = kClasses + words("--mode head --backbone") + Arguments{teacher()};
  expect_same_in(what, {"2x1", "4x2"}, {"4x1", "1x3", "2x1"});
}

TEST_F(TrainProcesses, DoNotChangeDistillationOfOutputs) {
  const Arguments what = kClasses + kStudent + words("--ema 0.9 --teacher") + Arguments{teacher()};
  expect_same_in(what, {"2x2", "4x1"});
}

// The projector, which learns beside the network, is in the checkpoint and in the tree.
TEST_F(TrainProcesses, DoNotChangeDistillationOfMaps) {
  const Arguments what =
      kClasses + kStudent + words("--distill dense --teacher") + Arguments{teacher()};
  expect_same_in(what, {"4x2"}, {"2x1", "4x1", "1x3"});
}

TEST_F(TrainProcesses, DoNotChangeMultiScaleTrainingNorLearningRatesOfGroups) {
  for (const auto& [name, network] :
       {std::pair("vit",
                  "--arch vit_tiny --patch-size 8 --lr-factors patch_embed.=0.25,blocks.0.=0.5"),
        std::pair("resnet", "--arch resnet18 --lr-factors conv1.=0.5")}) {
    SCOPED_TRACE(name);
    const Arguments what =
        words(network) +
        words(
            "--image-size 16 --multi-scale-min 8 --multi-scale-max 24 --head-lr 0.01 --batch-size "
            "8 "
            "--shards 4 --max-samples 40 --max-eval-samples 20 --epochs 1 --log-every 1 -q");
    const std::string one = run_of(std::string(name) + "-one", what + words("--jobs 1"));
    const std::string two = scratch_ / (std::string(name) + "-two");
    const Outcome stopped =
        train_and_signal(scratch_, what + words("--nproc 2 --jobs 2 --workers 0 --work-dir " + two),
                         two, 2, SIGTERM);
    EXPECT_EQ(stopped.code, 75) << stopped.err;
    const Outcome rest =
        train(scratch_, words("-q --nproc 1 --jobs 3 --workers 3 --resume-from " + two));
    EXPECT_EQ(rest.code, 0) << rest.err;
    EXPECT_EQ(ledger_digest(two), ledger_digest(one));
    // Without either the bits are others.
    const std::string plain = run_of(std::string(name) + "-plain",
                                     what + words("--multi-scale-min 16 --multi-scale-max 16"));
    EXPECT_NE(ledger_digest(plain), ledger_digest(one));
    std::filesystem::remove_all(scratch_.path());
    std::filesystem::create_directories(scratch_.path());
  }
}

TEST_F(TrainProcesses, ActivationCheckpointingChangesNoBit) {
  for (const auto& [name, what] : {std::pair("vit", kViT), std::pair("resnet", kResNet)}) {
    SCOPED_TRACE(name);
    const std::string kept = run_of(std::string(name) + "-kept", what);
    const std::string again = run_of(std::string(name) + "-again",
                                     what + words("--activation-checkpointing --nproc 2 --jobs 1"));
    EXPECT_EQ(ledger_digest(again), ledger_digest(kept));
    EXPECT_EQ(training_digest(last_checkpoint(again)), training_digest(last_checkpoint(kept)));
  }
}

TEST_F(TrainProcesses, BatchSizePerProcessIsMultipliedByTheirNumber) {
  const Arguments what = words(
      "--arch vit_tiny --image-size 16 --patch-size 8 --max-samples 24 --epochs 1 "
      "--no-validate -q");
  const std::string whole = run_of("whole", what + words("--batch-size 12"));
  expect_equal(run_of("parts", what + words("--batch-size-per-gpu 6 --nproc 2")), left_by(whole));
}

TEST_F(TrainProcesses, AKilledRankTakesTheOthersDownByNameAndTheRunResumes) {
  const Arguments what = kViT + words("--epochs 100000 --no-validate --save-every-updates 2");
  const std::string run = scratch_ / "killed";
  const Process process =
      start_train(scratch_, what + words("--nproc 4 --jobs 1 --work-dir " + run));
  ASSERT_TRUE(wait_for_update(process, run, 4));
  const std::vector<pid_t> ranks = children_of(process.pid);
  ASSERT_EQ(ranks.size(), 4U);
  kill(ranks[2], SIGKILL);
  const auto killed = std::chrono::steady_clock::now();
  const Outcome outcome = finish(process);
  EXPECT_LT(std::chrono::steady_clock::now() - killed, std::chrono::seconds(15));
  EXPECT_EQ(outcome.code, 128 + SIGKILL);
  // What c10d has to say of it stays unsaid.
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("rank 2 was killed by signal 9"), Not(HasSubstr("frame #"))));
  for (const pid_t rank : ranks) EXPECT_NE(kill(rank, 0), 0) << "still runs: " << rank;

  const Arguments rest = words("-q --max-updates 12 --save-every-updates 0 --resume-from ");
  const Outcome resumed = train(scratch_, rest + Arguments{run} + words("--nproc 2 --jobs 1"));
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(ledger_digest(run), ledger_digest(run_of("whole", what + words("--max-updates 12"))));
}

// A terminal signals the launcher and its ranks alike, and the launcher passes it on.
TEST_F(TrainProcesses, AnInterruptOfTheTerminalStopsARunOnce) {
  const std::string run = scratch_ / "interrupted";
  const Process process =
      start_train(scratch_, kViT + words("--epochs 100000 --no-validate --nproc 2 --jobs 1 "
                                         "--work-dir " +
                                         run));
  ASSERT_TRUE(wait_for_update(process, run, 2));
  const std::vector<pid_t> ranks = children_of(process.pid);
  for (const pid_t rank : ranks) kill(rank, SIGINT);
  kill(process.pid, SIGINT);
  const Outcome outcome = finish(process);
  EXPECT_EQ(outcome.code, 75) << outcome.err;
  EXPECT_FALSE(checkpoints(run).empty());
}

TEST_F(TrainProcesses, ARankWhoseFirstOneGaveUpSaysSo) {
  const Port port(false);
  const Arguments what = kViT + words("--join-timeout 2 --work-dir " + (scratch_ / "missing"));
  const Process first = start_train(scratch_, what, place(0, 4, port));
  const Process third = start_train(scratch_, what + words("--join-timeout 20"), place(2, 4, port));
  EXPECT_THAT(finish(first).err, HasSubstr("rank 1, 3 of 4 did not come within 2 s"));
  const Outcome outcome = finish(third);
  EXPECT_EQ(outcome.code, 11) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("rank 2: the meeting point at 127.0.0.1:"),
                                 HasSubstr("is gone"), Not(HasSubstr("frame #"))));
}

// Without a launcher that watches them: each finds out by itself.
TEST_F(TrainProcesses, ARankThatDiesElsewhereIsNamedByTheOthers) {
  const Port port(false);
  const std::string run = scratch_ / "apart";
  const Arguments what = kViT + words("--epochs 100000 --no-validate --work-dir " + run);
  const Process first = start_train(scratch_, what, place(0, 2, port));
  const Process second = start_train(scratch_, what, place(1, 2, port));
  ASSERT_TRUE(wait_for_update(first, run, 2));
  kill(second.pid, SIGKILL);
  const auto killed = std::chrono::steady_clock::now();
  const Outcome outcome = finish(first);
  finish(second);
  EXPECT_LT(std::chrono::steady_clock::now() - killed, std::chrono::seconds(15));
  EXPECT_EQ(outcome.code, 11) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("rank 1"), HasSubstr("--resume-from")));
}

// A state of 83 MB.
const Arguments kSaves = words(
    "--arch vit_tiny --image-size 16 --patch-size 8 --dropout 0.1 --batch-size 8 --shards 4 "
    "--max-samples 16 --max-eval-samples 20 --epochs 2 --ema 0.9 --log-every 1 -q");

TEST_F(TrainProcesses, WriteALargeStateTogether) {
  for (const std::string way : {"", "--sync-save"}) {
    const std::string one = run_of("one", kSaves + words(way));
    EXPECT_EQ(read_file(one + "/train.log").find("written by"), std::string::npos);
    const Left expected = left_by(one);
    std::filesystem::remove_all(one);
    for (const std::string processes : {"2", "4"}) {
      if (!way.empty() && processes == "4") continue;
      SCOPED_TRACE(processes + " " + way);
      const std::string run = run_of("other", kSaves + words(way + " --nproc " + processes));
      EXPECT_THAT(read_file(run + "/train.log"), HasSubstr("written by " + processes));
      expect_equal(run, expected);
      std::filesystem::remove_all(run);
    }
  }
}

TEST_F(TrainProcesses, WriteTheBestAndTheRollingFileTogether) {
  const Arguments what = kSaves + words("--save-best-only");
  const std::string one = run_of("one", what);
  const std::string two = run_of("two", what + words("--nproc 2"));
  const std::string rolling = "/checkpoints/checkpoint_supervised_vit_tiny_linear.h5";
  EXPECT_EQ(checkpoint_digest(two + rolling), checkpoint_digest(one + rolling));
  EXPECT_EQ(checkpoints(two).size(), checkpoints(one).size());
  EXPECT_EQ(checkpoint_digest(last_checkpoint(two)), checkpoint_digest(last_checkpoint(one)));
  const std::string log = read_file(two + "/train.log");
  EXPECT_THAT(log, HasSubstr("linear.h5 ("));
  EXPECT_THAT(log, HasSubstr("written by 2 processes"));
}

TEST_F(TrainProcesses, ASmallStateIsWrittenByOne) {
  const std::string run =
      run_of("small", words("--mode head --max-samples 16 --batch-size 8 --shards 2 "
                            "--data builtin:digits --max-eval-samples 8 --epochs 1 --nproc 2 -q "
                            "--backbone") +
                          Arguments{teacher()});
  const std::string log = read_file(run + "/train.log");
  EXPECT_THAT(log, HasSubstr("saved checkpoints/"));
  EXPECT_EQ(log.find("written by"), std::string::npos);
}

// Unfinished files of a run.
std::size_t temporary_files(const std::string& run) {
  std::size_t count = 0;
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator(run + "/checkpoints", gone)) {
    if (entry.path().filename().string().find(".tmp-") != std::string::npos) ++count;
  }
  return count;
}

// Stops `rank` in the middle of writing its part of a file.
bool stop_while_writing(const Process& process, const std::string& run, pid_t rank) {
  for (int attempt = 0; attempt < 200 && !has_ended(process); ++attempt) {
    while (temporary_files(run) == 0 && !has_ended(process)) std::this_thread::yield();
    kill(rank, SIGSTOP);
    // Who waits for it keeps the file open.
    std::this_thread::sleep_for(std::chrono::seconds(1));
    if (temporary_files(run) > 0) return true;
    kill(rank, SIGCONT);
  }
  return false;
}

TEST_F(TrainProcesses, ARankThatIsKilledWhileItWritesLeavesNoHalfFileAndTheNewestState) {
  const Arguments what = kSaves + words("--epochs 100000 --no-validate --save-every-updates 2");
  const std::string run = scratch_ / "killed";
  const Process process =
      start_train(scratch_, what + words("--nproc 2 --jobs 1 --work-dir " + run));
  ASSERT_TRUE(wait_for_update(process, run, 2));
  const std::vector<pid_t> ranks = children_of(process.pid);
  ASSERT_EQ(ranks.size(), 2U);
  ASSERT_TRUE(stop_while_writing(process, run, ranks[1]));
  const std::vector<std::filesystem::path> before = checkpoints(run);
  kill(ranks[1], SIGKILL);
  const auto killed = std::chrono::steady_clock::now();
  const Outcome outcome = finish(process);
  EXPECT_LT(std::chrono::steady_clock::now() - killed, std::chrono::seconds(15));
  EXPECT_NE(outcome.code, 0);
  EXPECT_EQ(temporary_files(run), 0U);
  const std::string log = read_file(run + "/train.log");
  EXPECT_THAT(log, HasSubstr("the processes that write it together lost one: rank 1 has ended"));
  EXPECT_THAT(log, HasSubstr("is saved, from which --resume-from goes on"));
  // What was there is there, and the state of when it happened.
  for (const std::filesystem::path& file : before) EXPECT_NE(checkpoint_digest(file), "");
  EXPECT_EQ(checkpoints(run).size(), before.size() + 1);

  std::uint64_t update = 0;
  const std::string tsv = read_file(run + "/train.tsv");
  for (std::size_t at = 0; (at = tsv.find('\n', at)) != std::string::npos; ++at) ++update;
  const std::string upto = std::to_string(update + 3);
  const Outcome resumed =
      train(scratch_, words("-q --save-every-updates 0 --max-updates " + upto + " --resume-from") +
                          Arguments{run});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(
      ledger_digest(run),
      ledger_digest(run_of("whole", what + words("--save-every-updates 0 --max-updates " + upto))));
}

TEST_F(TrainProcesses, AWorldThatDoesNotDivideTheShardsIsRefusedOnce) {
  const Outcome outcome = train(scratch_, kViT + words("--nproc 3 --work-dir none"));
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("with 4 shards there can be 1, 2, 4 processes"));
  EXPECT_EQ(outcome.err.find("cannot share"), outcome.err.rfind("cannot share"));
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "none"));
}

TEST_F(TrainProcesses, BothWaysToSayTheBatchAreRefused) {
  const Outcome outcome = train(scratch_, kViT + words("--batch-size-per-gpu 6 --work-dir none"));
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("batch-size and batch-size-per-gpu contradict each other"));
}

TEST_F(TrainProcesses, DifferentOptionsAreNamedOnEveryRank) {
  const Port port(false);
  const Arguments what = kViT + words("--work-dir none");
  const Process first = start_train(scratch_, what, place(0, 2, port));
  const Process second = start_train(scratch_, what + words("--lr 0.25"), place(1, 2, port));
  for (const Process& process : {first, second}) {
    const Outcome outcome = finish(process);
    EXPECT_EQ(outcome.code, 15) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("lr is 0.001 on rank 0 and 0.25 on rank 1"));
  }
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "none"));
}

TEST_F(TrainProcesses, ARankThatNeverComesIsNamed) {
  const Port port(false);
  const Outcome outcome = finish(
      start_train(scratch_, kViT + words("--join-timeout 2 --work-dir none"), place(0, 2, port)));
  EXPECT_EQ(outcome.code, 11) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("rank 1 of 2 did not come within 2 s"));
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "none"));
}

TEST_F(TrainProcesses, AFirstRankThatNeverComesIsWaitedForAsLongAsSaid) {
  const Port port(false);
  const auto started = std::chrono::steady_clock::now();
  const Outcome outcome = finish(
      start_train(scratch_, kViT + words("--join-timeout 3 --work-dir none"), place(1, 2, port)));
  EXPECT_GE(std::chrono::steady_clock::now() - started, std::chrono::seconds(3));
  EXPECT_EQ(outcome.code, 11) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("rank 1: no meeting point at 127.0.0.1:"),
                                 HasSubstr("3 s: Connection refused"), HasSubstr("rank 0")));
}

TEST_F(TrainProcesses, APortInUseIsNamed) {
  const Port port(true);
  const Outcome outcome = finish(
      start_train(scratch_, kViT + words("--join-timeout 2 --work-dir none"), place(0, 2, port)));
  EXPECT_EQ(outcome.code, 11) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr(std::to_string(port.number())), HasSubstr("in use"),
                                 HasSubstr("MASTER_PORT")));
}

TEST_F(TrainProcesses, TwoRunsSideBySideDoNotClash) {
  const Arguments what = kViT + words("--nproc 2 --jobs 1");
  const Process first = start_train(scratch_, what + words("--work-dir first"));
  const Process second = start_train(scratch_, what + words("--work-dir second"));
  for (const Process& process : {first, second}) {
    const Outcome outcome = finish(process);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
  }
  expect_equal(scratch_ / "first", left_by(scratch_ / "second"));
}

TEST_F(TrainProcesses, SignalsToTheVeryEndDoNotReplaceTheirExitCode) {
  const std::string run = scratch_ / "signals";
  const Process process = start_train(scratch_, kViT + words("--nproc 2 --work-dir " + run));
  ASSERT_TRUE(wait_for_update(process, run, 1));
  while (!has_ended(process)) {
    kill(process.pid, SIGTERM);
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  const Outcome outcome = finish(process);
  EXPECT_EQ(outcome.code, 75) << outcome.err;
}

TEST_F(TrainProcesses, TorchrunStartsThem) {
  const std::filesystem::path torchrun =
      std::filesystem::path(REPRISE_PYTHON).parent_path() / "torchrun";
  if (!std::filesystem::exists(torchrun)) GTEST_SKIP() << "no " << torchrun;
  const std::string run = scratch_ / "torchrun";
  const Outcome outcome =
      finish(start_program(scratch_, torchrun,
                           words("--standalone --no-python --nproc-per-node 2 " + train_program()) +
                               kViT + words("--jobs 1 --work-dir " + run)));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  expect_equal(run, left_by(run_of("one", kViT)));
  EXPECT_THAT(read_file(run + "/train.log"), HasSubstr("world size: 2"));
  EXPECT_THAT(read_file(run + "/train.log"),
              HasSubstr("sums over processes: through shared memory"));
}

TEST_F(TrainProcesses, MpirunStartsThem) {
  const std::filesystem::path mpirun = "/usr/bin/mpirun";
  if (!std::filesystem::exists(mpirun)) GTEST_SKIP() << "no " << mpirun << "; ./run installs it";
  const std::string run = scratch_ / "mpirun";
  const Outcome outcome = finish(start_program(
      scratch_, mpirun,
      words("--allow-run-as-root --oversubscribe --bind-to none -np 2 " + train_program()) + kViT +
          words("--jobs 1 --work-dir " + run)));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  expect_equal(run, left_by(run_of("one", kViT)));
  EXPECT_THAT(read_file(run + "/train.log"), HasSubstr("world size: 2"));
}

}  // namespace
}  // namespace reprise::training
