// Heads on frozen backbones, distillation, and evaluation of backbones: from the command line.
#include "tests/train/training.h"

#include "ckpt/base/json.h"
#include "ckpt/base/sha256.h"
#include "ckpt/store/lineage.h"
#include "ckpt/store/load.h"
#include "ckpt/store/references_to.h"
#include "ckpt/store/save.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace reprise::training {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

const Arguments kDigits = {"--data",
                           "builtin:digits",
                           "--max-samples",
                           "100",
                           "--max-eval-samples",
                           "50",
                           "--batch-size",
                           "25",
                           "--shards",
                           "4",
                           "--log-every",
                           "1",
                           "-q"};
const Arguments kDino =
    kDigits + Arguments{"--mode",        "dino", "--arch",    "resnet18", "--image-size",  "16",
                        "--epochs",      "1",    "--out-dim", "32",       "--head-hidden", "32",
                        "--local-crops", "0"};
const Arguments kHead = kDigits + Arguments{"--mode", "head", "--epochs", "2"};

class Modes : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = new Scratch;
    dino_ = run_of("runs/dino/1", kDino);
    backbone_ = last_checkpoint(dino_).string();
    backbone_bytes_ = sha256_file(backbone_).hex();
    head_ = run_of("runs/head/1", kHead + Arguments{"--backbone", dino_ + "/<last>"});
  }
  static void TearDownTestSuite() { delete scratch_; }

  static std::string run_of(const std::string& name, const Arguments& arguments) {
    const std::string run = *scratch_ / name;
    const Outcome outcome = train(*scratch_, arguments + Arguments{"--work-dir", run});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return run;
  }
  static void expect(const Arguments& arguments, int code, const std::string& text) {
    const Outcome outcome = train(*scratch_, arguments);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(text));
  }

  static Scratch* scratch_;
  static std::string dino_, head_, backbone_, backbone_bytes_;
};
Scratch* Modes::scratch_ = nullptr;
std::string Modes::dino_, Modes::head_, Modes::backbone_, Modes::backbone_bytes_;

TEST_F(Modes, HeadLeavesTheBackboneAloneAndNamesIt) {
  EXPECT_EQ(sha256_file(backbone_).hex(), backbone_bytes_);
  const Checkpoint head = store::load(last_checkpoint(head_).string());
  EXPECT_TRUE(head.backbone.empty());
  EXPECT_EQ(head.uuid_backbone, store::load(backbone_).uuid);
  EXPECT_EQ(head.arch, "resnet18");
  EXPECT_EQ(head.head.size(), 2U);
  const std::string name = last_checkpoint(head_).filename().string();
  EXPECT_THAT(name, HasSubstr("checkpoint_supervised_for_" + head.uuid_backbone->text()));
}

TEST_F(Modes, HeadLearns) {
  const Outcome trained =
      train(*scratch_, kHead + Arguments{"--backbone", backbone_, "--epochs", "20", "--lr", "0.02",
                                         "--augment", "none", "--save-last-only", "--json",
                                         "--work-dir", *scratch_ / "runs/head/learns"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  // Chance is 10.
  EXPECT_GT(parse_json(trained.out).at("metrics").at("val/acc1").get<double>(), 20);
}

TEST_F(Modes, HeadStoppedAndResumedByItsUuidAlone) {
  const std::string run = *scratch_ / "runs/head/stopped";
  const Outcome stopped = train_and_signal(
      *scratch_, kHead + Arguments{"--backbone", dino_ + "/<last>", "--work-dir", run}, run, 3,
      SIGTERM);
  EXPECT_EQ(stopped.code, 75) << stopped.err;
  // The backbone is not where it was; it is found beside this run.
  const std::string moved = *scratch_ / "runs/dino/moved";
  fs::rename(dino_, moved);
  const Outcome resumed = train(*scratch_, {"--resume-from", run, "-q", "--jobs", "1"});
  fs::rename(moved, dino_);
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(ledger_digest(run), ledger_digest(head_));
}

TEST_F(Modes, HeadByUuidHasTheBitsOfOneByPath) {
  const std::string run =
      run_of("runs/head/uuid", kHead + Arguments{"--backbone", store::load(backbone_).uuid.text(),
                                                 "--search-path", *scratch_ / "runs"});
  EXPECT_EQ(ledger_digest(run), ledger_digest(head_));
  EXPECT_EQ(checkpoint_digest(last_checkpoint(run)), checkpoint_digest(last_checkpoint(head_)));
}

TEST_F(Modes, EvaluationFindsTheBackboneAndEqualsTraining) {
  const Outcome outcome = eval(*scratch_, {head_, "--all", "--compare-origin"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("2 of 2 evaluations equal"));
  const std::string lonely = *scratch_ / "lonely";
  fs::create_directories(lonely);
  fs::copy(last_checkpoint(head_), lonely);
  const std::string moved = *scratch_ / "moved";
  fs::rename(dino_, moved);
  const std::string file = (fs::path(lonely) / last_checkpoint(head_).filename()).string();
  const Outcome lost = eval(*scratch_, {file, "--search-path", lonely});
  EXPECT_EQ(lost.code, 10) << lost.err;
  EXPECT_THAT(lost.err, HasSubstr("no checkpoint with this UUID"));
  const Outcome told = eval(*scratch_, {file, "--backbone", moved, "--compare-origin"});
  EXPECT_EQ(told.code, 0) << told.err;
  const Outcome other = eval(*scratch_, {file, "--backbone", head_});
  EXPECT_EQ(other.code, 15) << other.err;
  fs::rename(moved, dino_);
}

// A file keeps the name of what it was when something else is written over it: a backbone was once
// taken by its name alone, and an evaluation with other weights went through.
TEST_F(Modes, ABackboneIsWhatItsFileHoldsAndNotWhatItIsCalled) {
  const std::string whole = *scratch_ / "whole.h5";
  fs::copy_file(backbone_, whole);
  Checkpoint other = store::load(whole);
  other.uuid = Uuid::random();
  fs::remove(backbone_);
  store::save_as(other, backbone_);
  const Arguments resume = {"--resume-from", head_, "-q"};
  const std::string is_another = "is checkpoint " + other.uuid.text();
  expect(resume, 15, is_another);
  const Outcome refused = eval(*scratch_, {head_});
  EXPECT_EQ(refused.code, 15) << refused.err;
  EXPECT_THAT(refused.err,
              AllOf(HasSubstr(is_another), HasSubstr("name its file with --backbone")));
  // A whole one is found behind a damaged one.
  std::string bytes = read_file(whole);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_file(backbone_, bytes);
  expect(resume, 12, "digest differs");
  const std::string elsewhere = *scratch_ / "elsewhere";
  fs::create_directories(elsewhere);
  fs::copy_file(whole, fs::path(elsewhere) / fs::path(backbone_).filename());
  const Outcome found = eval(*scratch_, {head_, "--search-path", elsewhere, "--compare-origin"});
  EXPECT_EQ(found.code, 0) << found.err;
  fs::remove_all(elsewhere);
  fs::rename(whole, backbone_);
}

TEST_F(Modes, BackboneIsEvaluatedByNeighboursAsInTrainingAndByALinearLayer) {
  for (const char* batch : {"1", "64"}) {
    const Outcome knn = eval(*scratch_, {dino_, "--compare-origin", "--batch-size", batch});
    EXPECT_EQ(knn.code, 0) << knn.err;
    EXPECT_THAT(knn.out, HasSubstr("val/knn/acc1"));
  }
  const auto linear = [&](const char* jobs) {
    const Outcome outcome =
        eval(*scratch_, {dino_, "--protocol", "linear", "--json", "--jobs", jobs});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return parse_json(outcome.out).at("evaluations").at(0).at("metrics");
  };
  const Json metrics = linear("1");
  EXPECT_GT(metrics.at("val/linear/acc1").get<double>(), 20);  // chance: 10
  EXPECT_EQ(metrics, linear("3"));
  const Outcome network = eval(*scratch_, {dino_, "--protocol", "network"});
  EXPECT_EQ(network.code, 2);
  EXPECT_THAT(network.err, HasSubstr("--mode head"));
}

TEST_F(Modes, LineageShowsTheChain) {
  const auto graph = store::lineage(store::neighbours(store::RunDirectory::open(head_)));
  const Uuid child = store::load(last_checkpoint(head_).string()).uuid;
  const Uuid parent = store::load(backbone_).uuid;
  EXPECT_TRUE(std::ranges::any_of(graph.edges, [&](const store::LineageEdge& edge) {
    return graph.nodes[edge.child].uuid == child && graph.nodes[edge.parent].uuid == parent &&
           edge.relation == Relation::kBackbone && graph.nodes[edge.parent].path.has_value();
  }));
}

TEST_F(Modes, DistillationOfOutputsAndOfMapsIsExactAndNamesItsTeacher) {
  const std::string teacher =
      run_of("runs/teacher/1",
             kDigits + Arguments{"--arch", "resnet18", "--image-size", "16", "--epochs", "1"});
  const Arguments student =
      kDigits + Arguments{"--mode", "distill",      "--arch", "vit_tiny", "--image-size",
                          "16",     "--patch-size", "8",      "--epochs", "1"};
  for (const auto& [what, from] : {std::pair("logit", teacher), std::pair("dense", dino_)}) {
    const Arguments arguments = student + Arguments{"--distill", what, "--teacher", from};
    const std::string whole = run_of(std::string("runs/whole/") + what, arguments);
    const std::string run = *scratch_ / (std::string("runs/stopped/") + what);
    const Outcome stopped = train_and_signal(
        *scratch_, arguments + Arguments{"--work-dir", run, "--jobs", "1"}, run, 2, SIGTERM);
    EXPECT_EQ(stopped.code, 75) << stopped.err;
    const Outcome resumed = train(*scratch_, {"--resume-from", run, "-q", "--jobs", "3"});
    EXPECT_EQ(resumed.code, 0) << resumed.err;
    EXPECT_EQ(ledger_digest(run), ledger_digest(whole)) << what;
    EXPECT_EQ(checkpoint_digest(last_checkpoint(run)), checkpoint_digest(last_checkpoint(whole)));
    const Checkpoint checkpoint = store::load(last_checkpoint(whole).string());
    ASSERT_EQ(checkpoint.parents.size(), 1U);
    EXPECT_EQ(checkpoint.parents[0].relation, Relation::kDistilledFrom);
    EXPECT_EQ(checkpoint.loss_func.contains("projector.weight"), std::string(what) == "dense");
    const Outcome evaluated = eval(*scratch_, {whole, "--compare-origin"});
    EXPECT_EQ(evaluated.code, 0) << evaluated.err;
  }
}

TEST_F(Modes, AHeadAloneTeachesOnItsBackbone) {
  // Its checkpoint alone, so that the backbone has to be looked for.
  const std::string lonely = *scratch_ / "teacher-head";
  fs::create_directories(lonely);
  const fs::path file = fs::path(lonely) / last_checkpoint(head_).filename();
  fs::copy(last_checkpoint(head_), file, fs::copy_options::overwrite_existing);
  const std::string moved = *scratch_ / "moved-teacher";
  fs::rename(dino_, moved);
  const Arguments student =
      kDigits + Arguments{"--mode", "distill",  "--arch", "resnet18",  "--image-size",
                          "16",     "--epochs", "1",      "--teacher", file.string()};
  expect(student + Arguments{"--search-path", lonely, "--work-dir", *scratch_ / "none"}, 10,
         "no checkpoint with this UUID");
  EXPECT_FALSE(fs::exists(*scratch_ / "none"));
  for (const std::string what : {"logit", "dense"}) {
    const std::string run = run_of("runs/of-head/" + what,
                                   student + Arguments{"--distill", what, "--search-path", moved});
    const Checkpoint checkpoint = store::load(last_checkpoint(run).string());
    ASSERT_EQ(checkpoint.parents.size(), 1U);
    EXPECT_EQ(checkpoint.parents[0].uuid, store::load(file.string()).uuid);
  }
  fs::rename(moved, dino_);
}

TEST_F(Modes, AMovedBackboneIsNoDifferenceOfRuns) {
  const std::string moved = *scratch_ / "moved-backbone";
  fs::rename(dino_, moved);
  const std::string run =
      run_of("runs/head/moved", kHead + Arguments{"--backbone", moved + "/<last>"});
  fs::rename(moved, dino_);
  const auto predicate = [](const std::string& of) {
    return parse_json(read_file(fs::path(of) / "fingerprint.json")).at("predicate");
  };
  const auto configuration = [&](const std::string& of) {
    Json options = predicate(of).at("buildDefinition").at("externalParameters").at("configuration");
    options.erase("work-dir");
    return options;
  };
  EXPECT_EQ(configuration(run).at("backbone"), store::load(backbone_).uuid.text());
  EXPECT_EQ(configuration(run), configuration(head_));
  EXPECT_THAT(
      predicate(run).at("runDetails").at("reprise_records").at(0).at("backbone-path").dump(),
      HasSubstr("moved-backbone"));
}

TEST_F(Modes, WhatDoesNotFitIsRefusedWithTheNextAct) {
  expect(kDigits + Arguments{"--mode", "head"}, 2, "give --backbone CKPT");
  expect(kHead + Arguments{"--backbone", "6f1b4f9e-0000-4000-8000-000000000001"}, 10,
         "name its file with --backbone");
  expect(kHead + Arguments{"--backbone", backbone_, "--arch", "vit_tiny"}, 15,
         "holds a resnet18, arch = vit_tiny");
  expect(kDigits + Arguments{"--mode", "distill", "--arch", "resnet18", "--image-size", "16",
                             "--teacher", backbone_},
         15, "follow its feature maps with --distill dense");
  expect(kDigits + Arguments{"--backbone", backbone_}, 2, "means nothing in mode supervised");
  expect(kHead + Arguments{"--backbone", head_}, 15, "has no backbone");
  Checkpoint other = store::load(backbone_);
  other.uuid = Uuid::random();
  store::save_as(other, *scratch_ / "other.h5");
  expect({"--resume-from", head_, "--epochs", "3", "--allow-config-change", "--backbone",
          "other.h5", "--work-dir", *scratch_ / "runs/head/other"},
         15, "its backbone is checkpoint");
}

TEST_F(Modes, TeacherOfOtherOutputsOrAnotherArchitectureIsRefused) {
  const std::string teacher = run_of(
      "runs/teacher/roads",
      {"--data", "builtin:roads", "--max-samples", "16", "--max-eval-samples", "8", "--batch-size",
       "8", "--shards", "4", "--arch", "resnet18", "--image-size", "16", "--epochs", "1", "-q"});
  const Arguments student =
      kDigits + Arguments{"--mode", "distill",   "--arch", "resnet18",   "--image-size",
                          "16",     "--teacher", teacher,  "--work-dir", *scratch_ / "none"};
  expect(student, 15, "builtin:digits has 1 channels and 10 outputs");
  expect(student + Arguments{"--teacher-arch", "resnet50"}, 15,
         "holds a resnet18, teacher-arch = resnet50; leave the option out");
  expect(student + Arguments{"--teacher", dino_}, 15,
         "follow its feature maps with --distill dense");
  expect(student + Arguments{"--distill", "dense", "--ema", "0.9"}, 2, "ema and distill = dense");
  EXPECT_FALSE(fs::exists(*scratch_ / "none"));
}

TEST_F(Modes, BackboneWithoutAnArchitectureOrOfOtherShapesIsReported) {
  // Weights of another writer: bare names, no architecture.
  const std::string bare = *scratch_ / "bare.safetensors";
  Checkpoint checkpoint;
  checkpoint.type = CheckpointType::kModel;
  checkpoint.uuid = Uuid::random();
  checkpoint.model = store::load(backbone_).teacher.strip_prefix("backbone.");
  store::save_as(checkpoint, bare);
  expect(kHead + Arguments{"--backbone", bare}, 2, "does not say its architecture");
  const std::string run = *scratch_ / "runs/head/bare";
  const Outcome told = train(*scratch_, kHead + Arguments{"--backbone", bare, "--arch", "resnet18",
                                                          "--image-size", "16", "--work-dir", run});
  EXPECT_EQ(told.code, 0) << told.err;
  EXPECT_EQ(ledger_digest(run), ledger_digest(head_));
  const Outcome wrong = train(
      *scratch_, kHead + Arguments{"--backbone", bare, "--arch", "resnet50", "--image-size", "16"});
  EXPECT_EQ(wrong.code, 15) << wrong.err;
  EXPECT_THAT(wrong.err, AllOf(HasSubstr("does not fit a resnet50"), HasSubstr("layer1.0.conv3"),
                               HasSubstr("ckpt ls says what a file holds")));
}

TEST_F(Modes, BareWeightsAreEvaluatedWhenTheirArchitectureIsNamed) {
  // Patches of another size than the image's side suggests: the weights say it.
  const std::string run = run_of(
      "runs/bare/1", kDigits + words("--arch vit_tiny --image-size 16 --patch-size 8 --epochs 1"));
  const Checkpoint trained = store::load(last_checkpoint(run).string());
  Checkpoint checkpoint;
  checkpoint.type = CheckpointType::kModel;
  checkpoint.uuid = Uuid::random();
  checkpoint.model = trained.backbone;
  for (const auto& [name, tensor] : trained.head) checkpoint.model.append(name, tensor);
  const std::string bare = *scratch_ / "network.safetensors";
  store::save_as(checkpoint, bare);
  const Arguments what = Arguments{bare, "--json"} +
                         words("--data builtin:digits --image-size 16 --max-eval-samples 50");
  const Outcome unnamed = eval(*scratch_, what);
  EXPECT_EQ(unnamed.code, 2);
  EXPECT_THAT(unnamed.err, HasSubstr("does not say its architecture; name it with --arch"));
  const Outcome named = eval(*scratch_, what + words("--arch vit_tiny"));
  ASSERT_EQ(named.code, 0) << named.err;
  const Outcome whole = eval(*scratch_, {run, "--json"});
  EXPECT_EQ(parse_json(named.out)["evaluations"][0]["metrics"],
            parse_json(whole.out)["evaluations"][0]["metrics"]);
}

// What ckpt extract writes of a trained network is a whole network to everything that reads one.
TEST_F(Modes, AnExtractedModelIsEvaluatedLoadedAndTeaches) {
  const Arguments network = kDigits + Arguments{"--arch", "resnet18", "--image-size", "16"};
  const std::string run = run_of("runs/extracted/1", network + words("--epochs 1"));
  const std::string whole = last_checkpoint(run).string();
  const auto measured = [&](const std::string& file) {
    const Outcome outcome = eval(*scratch_, {file, "--json"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.code == 0 ? parse_json(outcome.out)["evaluations"][0]["metrics"] : Json();
  };
  const Json expected = measured(whole);
  for (const std::string suffix : {".h5", ".pth", ".safetensors"}) {
    const std::string file = *scratch_ / ("extracted" + suffix);
    const Outcome extracted = finish(start_program(
        *scratch_, REPRISE_BIN_CKPT, {"extract", whole, file, "--take", "model", "--lossy"}));
    ASSERT_EQ(extracted.code, 0) << extracted.err;
    EXPECT_EQ(measured(file), expected) << suffix;
    const std::string loaded =
        run_of("runs/extracted/from" + suffix,
               network + words("--max-updates 1") + Arguments{"--load-from", file});
    EXPECT_THAT(read_file(fs::path(loaded) / "train.log"), HasSubstr("\n122 tensors fit\n"));
  }
  run_of("runs/extracted/taught", network + words("--mode distill --max-updates 1 --teacher " +
                                                  (*scratch_ / "extracted.h5")));
}

}  // namespace
}  // namespace reprise::training
