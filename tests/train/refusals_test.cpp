// What bad input gets: a message with the next act, the right exit code, and nothing lost.
#include "tests/train/training.h"

#include "ckpt/base/json.h"
#include "ckpt/store/load.h"
#include "ckpt/store/save.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

namespace reprise::training {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

const Arguments kTiny = {"--arch",
                         "vit_tiny",
                         "--image-size",
                         "16",
                         "--patch-size",
                         "8",
                         "--batch-size",
                         "8",
                         "--max-samples",
                         "16",
                         "--max-eval-samples",
                         "8",
                         "--epochs",
                         "1",
                         "-q"};

class Refusals : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = new Scratch;
    run_ = *scratch_ / "run";
    const Outcome outcome = train(*scratch_, kTiny + Arguments{"--work-dir", run_});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  static void TearDownTestSuite() { delete scratch_; }

  static void expect(const Arguments& arguments, int code, const std::string& text) {
    const Outcome outcome = train(*scratch_, arguments);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(text));
  }

  static Scratch* scratch_;
  static std::string run_;
};
Scratch* Refusals::scratch_ = nullptr;
std::string Refusals::run_;

TEST_F(Refusals, ExistingRunDirectoryIsNeverOverwritten) {
  const std::string before = read_file(fs::path(run_) / "ledger.jsonl");
  const Outcome outcome = train(*scratch_, kTiny + Arguments{"--work-dir", run_});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("--resume-from"));
  EXPECT_EQ(read_file(fs::path(run_) / "ledger.jsonl"), before);
}

TEST_F(Refusals, MissingDataLeavesNoRunDirectory) {
  const std::string run = *scratch_ / "none";
  expect({"--data", "no/such/folder", "--work-dir", run}, 10, "no/such/folder");
  EXPECT_FALSE(fs::exists(run));
}

TEST_F(Refusals, MisspeltOptionAndKey) {
  expect({"--batchsize", "3"}, 2, "--batch-size");
  write_file(*scratch_ / "bad.toml", "batch_size = 3\n");
  expect({"--config", "bad.toml"}, 2,
         "bad.toml:1: unknown key 'batch_size'; did you mean batch-size?");
  expect({"--config", "missing.toml"}, 10, "missing.toml");
}

TEST_F(Refusals, ResumingWithAnotherSeed) {
  expect({"--resume-from", run_, "--seed", "5"}, 15, "seed = 5, was 0");
}

// What is compared is the kind of device that computed, whatever it is called.
TEST_F(Refusals, ResumingOnTheSameDeviceByAnotherName) {
  const std::string run = *scratch_ / "device";
  const Arguments half = kTiny + words("--device cpu --max-updates 1 --work-dir " + run);
  ASSERT_EQ(train(*scratch_, half).code, 0);
  const Checkpoint saved = store::load(last_checkpoint(run).string());
  EXPECT_EQ(saved.config["derived"]["device"], "cpu");
  const auto resumed_with = [&](const std::function<void(Json&)>& change) {
    Checkpoint other = saved;
    change(other.config);
    const fs::path folder = *scratch_ / "device-said";
    fs::remove_all(folder);
    fs::create_directory(folder);
    const store::SaveReport report = store::save(other, folder);
    return train(*scratch_, {"--resume-from", report.path.string(), "--device", "cpu", "--work-dir",
                             (folder / "run").string(), "-q"});
  };
  const Outcome automatic = resumed_with([](Json& config) { config["device"] = "auto"; });
  EXPECT_EQ(automatic.code, 0) << automatic.err;
  // An older checkpoint, which does not say what auto was.
  const Outcome old = resumed_with([](Json& config) {
    config["device"] = "auto";
    config["derived"].erase("device");
  });
  EXPECT_EQ(old.code, 0) << old.err;
  // As the words of --device of such a checkpoint do, where they are not auto.
  const Outcome gpu = resumed_with([](Json& config) {
    config["device"] = "cuda:1";
    config["derived"].erase("device");
  });
  EXPECT_EQ(gpu.code, 15) << gpu.err;
  EXPECT_THAT(gpu.err, HasSubstr("it was trained on cuda, --device cpu is cpu here"));
}

TEST_F(Refusals, ResumingWithAnotherArchitecture) {
  expect({"--resume-from", run_, "--arch", "resnet18"}, 15,
         "arch = \"resnet18\", was \"vit_tiny\"");
}

TEST_F(Refusals, ScalesAndFactorsThatMeanNothing) {
  const Arguments none = {"--work-dir", *scratch_ / "none"};
  expect(kTiny + none + Arguments{"--multi-scale-max", "20"}, 2, "multiples of the patch size 8");
  expect(kTiny + none + Arguments{"--multi-scale-min", "24"}, 2, "in rising order");
  expect(kTiny + none + Arguments{"--lr-factors", "block.0.=2"}, 2,
         "no weight's name begins with 'block.0.'");
  expect(kTiny + none + Arguments{"--lr-factors", "head.=nan"}, 2, "as blocks.0.=0.5");
  EXPECT_FALSE(fs::exists(*scratch_ / "none"));
}

TEST_F(Refusals, LabelSmoothingOfNumbers) {
  const std::string run = *scratch_ / "smooth";
  expect(kTiny + Arguments{"--label-smoothing", "0.1", "--work-dir", run}, 2,
         "label smoothing is for classes");
  EXPECT_FALSE(fs::exists(run));
}

// What PyTorch takes is taken.
TEST_F(Refusals, EpsMayBeZeroAndNotLess) {
  expect(kTiny + Arguments{"--eps", "-1", "--work-dir", *scratch_ / "none"}, 2, "expected 0 to 1");
  const Outcome zero = train(*scratch_, kTiny + Arguments{"--eps", "0", "--max-updates", "1",
                                                          "--work-dir", *scratch_ / "zero"});
  EXPECT_EQ(zero.code, 0) << zero.err;
}

TEST_F(Refusals, AMajorMetricThatIsNeverMeasured) {
  const std::string run = *scratch_ / "major";
  const auto refused = [&](const std::string& metric, const std::string& names) {
    expect(kTiny + Arguments{"--major-metric", metric, "--work-dir", run}, 2, names);
    EXPECT_FALSE(fs::exists(run));
  };
  refused("val/acc1:max", "'val/acc1' is not measured here; there are val/loss, val/mae, val/rmse");
  refused("ema/val/mae:min", "there are val/loss, val/mae, val/rmse");
  const Outcome outcome = train(*scratch_, kTiny + Arguments{"--major-metric", "ema/val/rmse:min",
                                                             "--ema", "0.9", "--work-dir", run});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

TEST_F(Refusals, GpuThatIsNotThere) {
  const std::string run = *scratch_ / "gpu";
  expect(kTiny + Arguments{"--device", "cuda:77", "--work-dir", run}, 10, "use --device cpu");
  EXPECT_FALSE(fs::exists(run));
}

TEST_F(Refusals, ResumingWithAnotherSeedIsPossibleWhenAskedFor) {
  const std::string copy = *scratch_ / "allowed";
  const Outcome outcome = train(*scratch_, {"--resume-from", run_, "--seed", "5", "--epochs", "2",
                                            "--work-dir", copy, "--allow-config-change"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("changed option: seed = 5, was 0"),
                                 HasSubstr("changed option: epochs = 2, was 1")));
}

TEST_F(Refusals, WrongResumeFrom) {
  expect({"--resume-from", "nowhere"}, 10, "ckpt runs FOLDER lists the runs");
  expect({"--resume-from", run_ + "/<ep7>"}, 10, "ep7");
  expect({"--resume-from", run_, "--load-from", run_}, 2, "give one of them");
  write_file(*scratch_ / "garbage.h5", std::string(5000, 'x'));
  EXPECT_NE(train(*scratch_, {"--resume-from", "garbage.h5"}).code, 0);
}

TEST_F(Refusals, ProcessesThatDoNotFitAResumedRunAreRefusedOnce) {
  const Outcome outcome = train(*scratch_, {"--resume-from", run_, "--nproc", "3"});
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  const std::size_t said = outcome.err.find("train: usage: ");
  ASSERT_NE(said, std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.find("train: usage: ", said + 1), std::string::npos) << outcome.err;
}

TEST_F(Refusals, TruncatedCheckpointIsNotResumed) {
  const std::string copy = *scratch_ / "truncated";
  fs::copy(run_, copy, fs::copy_options::recursive);
  const fs::path file = last_checkpoint(copy);
  fs::resize_file(file, fs::file_size(file) - 4096);
  const Outcome outcome = train(*scratch_, {"--resume-from", file.string()});
  EXPECT_EQ(outcome.code, 12) << outcome.err;
}

TEST_F(Refusals, LoadingWeightsOfAnotherNetworkReportsKeys) {
  const Arguments resnet = {"--arch",        "resnet18",
                            "--image-size",  "16",
                            "--max-samples", "16",
                            "--batch-size",  "8",
                            "--epochs",      "1",
                            "--load-from",   run_,
                            "--work-dir",    *scratch_ / "other"};
  expect(resnet, 15, "--no-strict");
}

// What the program that runs can be told, and not what another one can.
TEST_F(Refusals, EvaluatingWeightsOfAnotherNetworkReportsKeys) {
  Checkpoint checkpoint = store::load(last_checkpoint(run_).string());
  checkpoint.config["arch"] = "resnet18";
  fs::create_directory(*scratch_ / "other-arch");
  const store::SaveReport saved = store::save(checkpoint, *scratch_ / "other-arch");
  const Outcome outcome = eval(*scratch_, {saved.path.string()});
  EXPECT_EQ(outcome.code, 15) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("the weights do not fit the network"),
                                 HasSubstr("ckpt ls says what a file holds"),
                                 Not(HasSubstr("--no-strict")), Not(HasSubstr("--arch"))));
}

TEST_F(Refusals, WeightsLoadIntoANewRun) {
  const std::string run = *scratch_ / "loaded";
  const Outcome outcome =
      train(*scratch_, kTiny + Arguments{"--load-from", run_, "--work-dir", run, "-v"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(read_file(fs::path(run) / "train.log"), HasSubstr("start: weights of"));
}

TEST_F(Refusals, LedgerThatWasEditedIsNotContinued) {
  const std::string copy = *scratch_ / "edited";
  fs::copy(run_, copy, fs::copy_options::recursive);
  std::string text = read_file(fs::path(copy) / "ledger.jsonl");
  text[text.find("\"loss\"") + 12] ^= 1;
  write_file(fs::path(copy) / "ledger.jsonl", text);
  const Outcome outcome =
      train(*scratch_, {"--resume-from", copy, "--epochs", "2", "--allow-config-change"});
  EXPECT_EQ(outcome.code, 12) << outcome.err;
}

TEST_F(Refusals, ImagesThatDoNotDecodeStopTheRunOrAreNamedAndSkipped) {
  const fs::path cifar = cifar_images(5);
  if (cifar.empty()) GTEST_SKIP() << "no CIFAR-10 archive in " << REPRISE_SHARED_DIR;
  const fs::path data = scratch_->path() / "images";
  fs::copy(cifar, data, fs::copy_options::recursive);
  write_file(data / "train" / "cat" / "broken.jpg", "no picture");
  const Arguments arguments = {"--data",       data.string(), "--arch",       "vit_tiny",
                               "--patch-size", "16",          "--batch-size", "10",
                               "--epochs",     "1",           "--work-dir"};
  expect(arguments + Arguments{*scratch_ / "stops"}, 13, "broken.jpg");
  const Outcome skipped =
      train(*scratch_, arguments + Arguments{*scratch_ / "skips", "--skip-bad"});
  EXPECT_EQ(skipped.code, 0) << skipped.err;
  EXPECT_THAT(skipped.err, AllOf(HasSubstr("1 image left out"), HasSubstr("broken.jpg")));
  const std::string line = skipped.err.substr(skipped.err.find("broken.jpg") + 1);
  EXPECT_THAT(line.substr(0, line.find('\n')), Not(HasSubstr("broken.jpg")));
  // Also where nothing but warnings and errors is wanted.
  const Outcome quietly =
      train(*scratch_, arguments + Arguments{*scratch_ / "quiet", "--skip-bad", "-q"});
  EXPECT_THAT(quietly.err, AllOf(HasSubstr("warning: "), HasSubstr("broken.jpg")));
  // A share that is held out is of the same images: they are named once.
  const Outcome split = train(
      *scratch_, arguments + Arguments{*scratch_ / "split", "--skip-bad", "--val-split", "0.2"});
  EXPECT_EQ(split.code, 0) << split.err;
  const std::size_t named = split.err.find("broken.jpg");
  ASSERT_NE(named, std::string::npos);
  EXPECT_EQ(split.err.find("1 image left out", named), std::string::npos) << split.err;
}

// Where every image decodes it changes no bit; where one does not, the data are others.
// Another machine mounts them elsewhere. Once that needed --allow-config-change, under which other
// data went through as well.
TEST_F(Refusals, DataThatMovedAreTheSameData) {
  const fs::path cifar = cifar_images(5);
  if (cifar.empty()) GTEST_SKIP() << "no CIFAR-10 archive in " << REPRISE_SHARED_DIR;
  const fs::path here = scratch_->path() / "data-here", there = scratch_->path() / "data-there";
  fs::copy(cifar, here, fs::copy_options::recursive);
  const Arguments arguments =
      words("--arch vit_tiny --patch-size 16 --batch-size 10 --epochs 1 -q --work-dir");
  const std::string whole = *scratch_ / "unmoved", run = *scratch_ / "moved";
  const Arguments data = {"--data", here.string()};
  ASSERT_EQ(train(*scratch_, arguments + Arguments{whole} + data).code, 0);
  ASSERT_EQ(train(*scratch_, arguments + Arguments{run, "--max-updates", "1"} + data).code, 0);
  fs::rename(here, there);
  const Arguments resume = {"--resume-from", run, "-q", "--max-updates", "0"};
  expect(resume, 10, "give --data a path");
  expect(resume + Arguments{"--data", "builtin:digits"}, 15, "the training data differ");
  const Outcome resumed = train(*scratch_, resume + Arguments{"--data", there.string()});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(ledger_digest(run), ledger_digest(whole));
}

TEST_F(Refusals, SkippingBadImagesFromAResumeOnAsksOnlyWhereThereAreAny) {
  const fs::path cifar = cifar_images(5);
  if (cifar.empty()) GTEST_SKIP() << "no CIFAR-10 archive in " << REPRISE_SHARED_DIR;
  const fs::path data = scratch_->path() / "good-images";
  fs::copy(cifar, data, fs::copy_options::recursive);
  const Arguments arguments =
      words("--arch vit_tiny --patch-size 16 --batch-size 10 --epochs 1 -q") +
      Arguments{"--data", data.string(), "--work-dir"};
  const std::string whole = *scratch_ / "good-whole", run = *scratch_ / "good-stopped";
  ASSERT_EQ(train(*scratch_, arguments + Arguments{whole}).code, 0);
  ASSERT_EQ(train(*scratch_, arguments + Arguments{run, "--max-updates", "1"}).code, 0);
  const Arguments resume = {"--resume-from", run, "--skip-bad", "--max-updates"};
  Outcome resumed = train(*scratch_, resume + Arguments{"3"});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  write_file(data / "train" / "cat" / "broken.jpg", "no picture");
  expect(resume + Arguments{"0"}, 15, "the training data differ");
  fs::remove(data / "train" / "cat" / "broken.jpg");
  resumed = train(*scratch_, resume + Arguments{"0"});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(ledger_digest(run), ledger_digest(whole));
}

// The side that a checkpoint says is part of what its metrics mean.
TEST_F(Refusals, OptionsThatAnEvaluationCannotUseAreRefused) {
  const auto refused = [](const Arguments& more, const std::string& text) {
    const Outcome outcome = eval(*scratch_, Arguments{run_} + more);
    EXPECT_EQ(outcome.code, 2) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(text));
  };
  refused({"--image-size", "32"}, "--image-size 32: the checkpoint says 16");
  refused({"--image-size", "4097"}, "--image-size 4097: expected 0 to 4096");
  refused({"--image-size", "-1"}, "--image-size -1: expected 0 to 4096");
  refused({"--arch", "resnet50"}, "--arch resnet50: the checkpoint holds a vit_tiny");
  // It once was recorded as an accuracy of 0.
  refused({"--protocol", "knn", "--neighbours", "0"}, "--neighbours 0: expected at least 1");
  refused({"--neighbours", "3"}, "--neighbours vote with --protocol knn, not with network");
  refused({"--bank-samples", "8"}, "--bank-samples are for --protocol knn and linear");
  refused({"--backbone", run_}, "--backbone: the checkpoint holds its own");
  EXPECT_EQ(eval(*scratch_, {run_, "--image-size", "16", "-q"}).code, 0);
}

TEST_F(Refusals, ImagesThatDoNotDecodeLoseNothingThatWasLearnt) {
  const fs::path cifar = cifar_images(5);
  if (cifar.empty()) GTEST_SKIP() << "no CIFAR-10 archive in " << REPRISE_SHARED_DIR;
  for (const std::string half : {"train", "val"}) {
    const fs::path data = scratch_->path() / ("images-" + half);
    fs::copy(cifar, data, fs::copy_options::recursive);
    const fs::path held_out = fs::exists(data / "val") ? data / "val" : data / "test";
    const fs::path bad = (half == "train" ? data / "train" : held_out) / "cat" / "broken.jpg";
    write_file(bad, "no picture");
    const std::string run = *scratch_ / ("kept-" + half);
    // Nothing would be saved before the end of the only epoch.
    const Outcome stopped = train(
        *scratch_, {"--data", data.string(), "--arch", "vit_tiny", "--patch-size", "16",
                    "--batch-size", "3", "--shards", "1", "--epochs", "1", "--work-dir", run});
    EXPECT_EQ(stopped.code, 13) << half << ": " << stopped.err;
    EXPECT_THAT(stopped.err, HasSubstr("broken.jpg"));
    const std::string log = read_file(fs::path(run) / "train.log");
    ASSERT_THAT(log, HasSubstr("is saved, from which --resume-from goes on")) << half;
    const fs::path good = [&] {
      for (const auto& entry : fs::directory_iterator(bad.parent_path())) {
        if (entry.path() != bad) return entry.path();
      }
      return fs::path();
    }();
    fs::copy_file(good, bad, fs::copy_options::overwrite_existing);
    const Outcome resumed = train(*scratch_, {"--resume-from", run, "--allow-config-change", "-q"});
    EXPECT_EQ(resumed.code, 0) << half << ": " << resumed.err;
  }
}

TEST_F(Refusals, DirectoryThatCannotBeWritten) {
  // sysfs refuses new directories to everybody, root included.
  expect(kTiny + Arguments{"--work-dir", "/sys/run"}, 11, "/sys/run");
}

TEST_F(Refusals, FullDiskEndsTheRunAndLeavesNoHalfCheckpoint) {
  const std::string run = *scratch_ / "full";
  const Outcome outcome = train_with_file_limit(*scratch_, kTiny + Arguments{"--work-dir", run},
                                                std::uint64_t{1} << 20);
  EXPECT_EQ(outcome.code, 11) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("checkpoints"));
  EXPECT_TRUE(fs::is_empty(fs::path(run) / "checkpoints"));
  const Json record = parse_json(read_file(fs::path(run) / "run.json"));
  EXPECT_EQ(record.at("state"), "failed");
  EXPECT_THAT(record.at("reason").get<std::string>(),
              AllOf(HasSubstr(run + "/checkpoints/"), HasSubstr("File too large")));
}

// It may hold a head on one of the checkpoints that would go.
TEST_F(Refusals, ANeighbourThatIsClosedIsNamedAndNothingIsRemoved) {
  const fs::path closed = fs::path(*scratch_ / "runs") / "of-others" / "private";
  fs::create_directories(closed);
  fs::permissions(closed, fs::perms::none);
  const std::string run = *scratch_ / "runs" + "/own/1";
  const Arguments epochs = kTiny + words("--epochs 3 --keep-last 1 --work-dir " + run);
  const Outcome outcome = train_as_a_user(*scratch_, epochs);
  fs::permissions(closed, fs::perms::owner_all);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("no older checkpoint is removed: " + closed.native() +
                                     " cannot be looked into and may refer to one"));
  EXPECT_EQ(checkpoints(run).size(), 3u);
}

// What can be known before the first update is said before there is a run directory.
TEST_F(Refusals, ARunThatCannotBeginLeavesNoDirectory) {
  const Arguments none = {"--work-dir", *scratch_ / "none"};
  expect(kTiny + none + words("--batch-size 32"), 2, "lower the batch size");
  expect(kTiny + none + words("--accumulate 3"), 2, "lower the batch size");
  expect(kTiny + none + words("--warmup-epochs 1"), 2, "lower --warmup-epochs");
  expect(kTiny + none + words("--schedule one-cycle --warmup-epochs 0.5"), 2, "has its own rise");
  expect(kTiny + none + words("--patch-size 5"), 2, "patch");
  expect(kTiny + none + words("--requeue"), 2, "Slurm");
  expect(kTiny + none + words("--load-from nowhere"), 10, "nowhere");
  expect(kTiny + none + words("--val-data nowhere"), 10, "nowhere");
  // A batch that does not divide what the checkpoint has seen of its epoch.
  const std::string half = *scratch_ / "half";
  const Outcome stopped =
      train(*scratch_, kTiny + words("--epochs 2 --max-updates 1 --work-dir " + half));
  ASSERT_EQ(stopped.code, 0) << stopped.err;
  expect(
      none + words("--allow-config-change --max-updates 0 --batch-size 16 --resume-from " + half),
      15, "batches of 16 cannot go on from there");
  // Eight shards of one image each, which a ResNet leaves one place of.
  const Arguments narrow = none + words("--arch resnet18 --batch-size 8 --max-samples 16 -q");
  const std::string one = "BatchNorm needs more than one value";
  expect(narrow + words("--image-size 32"), 2, one);
  expect(narrow + words("--image-size 48 --multi-scale-min 32"), 2, one);
  expect(narrow + words("--mode dino --local-crops 1 --image-size 48"), 2, one);
  EXPECT_FALSE(fs::exists(*scratch_ / "none"));
  const Outcome wide =
      train(*scratch_, words("--arch resnet18 --batch-size 8 --max-samples 16 --max-eval-samples 8 "
                             "--image-size 48 --epochs 1 -q --work-dir ") +
                           Arguments{*scratch_ / "wide"});
  EXPECT_EQ(wide.code, 0) << wide.err;
}

TEST_F(Refusals, DivergingLossStopsBeforeTheFirstBadUpdate) {
  const std::string run = *scratch_ / "diverging";
  const Outcome outcome =
      train(*scratch_, kTiny + Arguments{"--epochs", "4", "--max-loss", "1e-9", "--work-dir", run});
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("three updates in a row"));
  const std::string record = read_file(fs::path(run) / "run.json");
  EXPECT_THAT(record, HasSubstr("\"state\": \"failed\""));
  EXPECT_THAT(record, HasSubstr("\"reason\": \"three updates in a row with a loss of"));
  const Outcome resumed = train(*scratch_, {"--resume-from", run, "--max-loss", "0", "-q"});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_THAT(read_file(fs::path(run) / "run.json"), HasSubstr("\"state\": \"finished\""));
  // The state that was saved is the one before the first bad update: nothing is missing.
  const std::string whole = *scratch_ / "whole";
  ASSERT_EQ(train(*scratch_, kTiny + Arguments{"--epochs", "4", "--work-dir", whole}).code, 0);
  EXPECT_EQ(ledger_digest(run), ledger_digest(whole));
}

// A signal in the middle of such a series once put the diverging state in the place of the good
// one.
TEST_F(Refusals, AStopAmongDivergingLossesKeepsTheStateBeforeThem) {
  const std::string run = *scratch_ / "stopped-diverging";
  const Outcome stopped =
      train(*scratch_, kTiny + Arguments{"--max-loss", "1e-9", "--max-hours", "1e-9",
                                         "--save-last-only", "--work-dir", run});
  EXPECT_EQ(stopped.code, 75) << stopped.err;
  EXPECT_EQ(store::load(last_checkpoint(run).string()).progress->update, 0U);
  const Outcome resumed =
      train(*scratch_, {"--resume-from", run, "--max-loss", "0", "--max-hours", "0", "-q"});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(ledger_digest(run), ledger_digest(run_));
}

TEST_F(Refusals, AGradientThatIsNoNumberIsNeverApplied) {
  // Steps so far that soon an update has no finite gradient; epochs end before and after.
  const Arguments far =
      kTiny + Arguments{"--optimizer", "sgd", "--lr", "1e6", "--max-samples", "8"};
  std::string last = "20";
  for (const Arguments& more :
       {Arguments{"--keep-last", "1"}, Arguments{"--save-last-only"}, Arguments{"--sync-save"}}) {
    const std::string run = *scratch_ / ("no-number" + more.front());
    const Outcome outcome =
        train(*scratch_, far + more + Arguments{"--epochs", last, "--work-dir", run});
    EXPECT_EQ(outcome.code, 1) << outcome.err;
    EXPECT_THAT(outcome.err, AllOf(HasSubstr("is not made"), Not(HasSubstr("-nan"))));
    const std::string ledger = read_file(fs::path(run) / "ledger.jsonl");
    // One line is the ledger's head.
    const auto refused = std::count(ledger.begin(), ledger.end(), '\n');
    const std::string next = "update " + std::to_string(refused) + " has a loss of";
    EXPECT_THAT(outcome.err, HasSubstr(next));
    // What there is to go back to is the state before it: the same update is refused again.
    const Outcome resumed = train(*scratch_, {"--resume-from", run, "-q"});
    EXPECT_EQ(resumed.code, 1) << resumed.err;
    EXPECT_THAT(resumed.err, HasSubstr(next));
    // Also when it is the last one.
    last = std::to_string(refused);
  }
}

TEST_F(Refusals, EvaluationsThatContradictThemselves) {
  for (const auto& [more, text] :
       {std::pair(Arguments{"--all", "--epochs", "1"}, "give one of them"),
        std::pair(Arguments{"--batch-size", "0"}, "at least 1"),
        std::pair(Arguments{"--workers", "1025"}, "at most 1024"),
        std::pair(Arguments{"--protocol", "network", "--neighbours", "3"}, "--protocol knn")}) {
    const Outcome outcome = eval(*scratch_, Arguments{run_} + more);
    EXPECT_EQ(outcome.code, 2) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(text));
  }
}

// Without --patch-size: of images of MNIST's size, too, patches of a size that divides them.
TEST_F(Refusals, NoPatchSizeIsRefusedThatNobodyGave) {
  for (const std::string side : {"20", "28", "30", "50", "60"}) {
    const Outcome outcome =
        train(*scratch_, {"--arch", "vit_tiny", "--image-size", side, "--batch-size", "8",
                          "--max-samples", "8", "--max-eval-samples", "1", "--max-updates", "1",
                          "-q", "--work-dir", *scratch_ / ("side-" + side)});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
  }
}

TEST_F(Refusals, PrintedConfigurationIsLoadable) {
  const Outcome printed = train(*scratch_, kTiny + Arguments{"--print-config"});
  EXPECT_EQ(printed.code, 0);
  write_file(*scratch_ / "printed.toml", printed.out);
  EXPECT_EQ(train(*scratch_, {"--config", "printed.toml", "--print-config"}).out, printed.out);
}

// After a resume it once said to resume, and no longer where the run had its weights from.
TEST_F(Refusals, ConfigurationOfAResumedRunBeginsItAgain) {
  const std::string run = *scratch_ / "began";
  const auto goes = [](const Arguments& arguments) {
    const Outcome outcome = train(*scratch_, arguments + Arguments{"-q"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
  };
  goes(kTiny + Arguments{"--load-from", run_, "--max-updates", "1", "--work-dir", run});
  goes({"--resume-from", run, "--max-updates", "0", "--log-every", "1"});
  const std::string again = *scratch_ / "again";
  goes({"--config", run + "/config.toml", "--work-dir", again});
  EXPECT_EQ(ledger_digest(again), ledger_digest(run));
  EXPECT_THAT(read_file(run + "/config-before-1.toml"), HasSubstr("max-updates = 1"));
}

TEST_F(Refusals, ListsSayWhatThereIs) {
  for (const char* what : {"arch", "optimizer", "schedule", "data", "mode"}) {
    const Outcome outcome = train(*scratch_, {"--list", what});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_FALSE(outcome.out.empty());
  }
}

}  // namespace
}  // namespace reprise::training
