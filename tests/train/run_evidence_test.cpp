// What a real run leaves behind as evidence: the fingerprint of each process, and a ledger whose
// damage every command names.
#include "ckpt/base/json.h"
#include "ckpt/base/sha256.h"
#include "ckpt/store/reference.h"
#include "engine/data/sampler.h"
#include "repro/ledger/tensor_digest.h"
#include "tests/repro/shell.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <sstream>

namespace reprise::training {
namespace {

using ::testing::HasSubstr;
using testing_shell::get;
using testing_shell::git_tree_of;
using testing_shell::must;
using testing_shell::Outcome;
using testing_shell::put;
using testing_shell::Scratch;
using testing_shell::shell;

namespace fs = std::filesystem;

const std::string kTrain = REPRISE_BIN_TRAIN;
const std::string kEval = REPRISE_BIN_EVAL;
const std::string kRepro = REPRISE_BIN_REPRO;
const std::string kSettings =
    " --data builtin:roads --arch vit_tiny --image-size 16 --patch-size 8 --max-samples 32 "
    "--max-eval-samples 8 --epochs 2 --batch-size 8 --seed 5 --ledger-tensors 4 -q ";
constexpr int kUpdates = 8;

// Trains once, in a repository with a changed and an untracked file.
class RunEvidence : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = new Scratch;
    put(*scratch_ / "repo/model.py", "depth = 3\n");
    must(*scratch_ / "repo", "git init -q && git add -A && git commit -qm first");
    put(*scratch_ / "repo/model.py", "depth = 4\n");
    put(*scratch_ / "repo/new.py", "x = 1\n");
    must(repo(), kTrain + kSettings + "--work-dir base");
  }
  static void TearDownTestSuite() { delete scratch_; }

  static fs::path repo() { return *scratch_ / "repo"; }
  static Outcome run(const std::string& command) { return shell(repo(), command); }
  static void copy(const std::string& name) { must(repo(), "cp -r base " + name); }
  static Json statement(const std::string& run) {
    return parse_json(get(repo() / run / "fingerprint.json"));
  }
  static std::vector<std::string> lines(const std::string& run) {
    std::vector<std::string> out;
    std::istringstream in(get(repo() / run / "ledger.jsonl"));
    for (std::string line; std::getline(in, line);) out.push_back(line);
    return out;
  }
  // Writes a ledger; `rechained`: with a chain that fits.
  static void write(const std::string& run, std::vector<std::string> lines, bool rechained) {
    std::string text;
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (rechained && i > 0) {
        const std::size_t prev = lines[i].rfind("\"prev\":\"") + 8;
        lines[i].replace(prev, 64, sha256(lines[i - 1]).hex());
      }
      text += lines[i] + "\n";
    }
    put(repo() / run / "ledger.jsonl", text);
  }
  // Where the line of an update stands, counted from 1.
  static std::size_t line_of(int update) {
    const auto all = lines("base");
    const std::string begin = "{\"update\":" + std::to_string(update) + ",\"epoch\"";
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i].starts_with(begin)) return i + 1;
    }
    ADD_FAILURE() << "no update " << update;
    return 1;
  }

  static Scratch* scratch_;
};
Scratch* RunEvidence::scratch_ = nullptr;

TEST_F(RunEvidence, TheFingerprintHoldsCodeSettingsMachineSoftwareAndData) {
  const Json whole = statement("base");
  const Json& definition = whole["predicate"]["buildDefinition"];
  const Json& external = definition["externalParameters"];
  EXPECT_EQ(external["seeds"]["seed"], 5);
  EXPECT_EQ(external["configuration"]["batch-size"], 8);
  EXPECT_EQ(external["determinism"]["deterministic_algorithms"], true);
  EXPECT_THAT(external["determinism"]["mkl"].get<std::string>(), HasSubstr("Version"));
  EXPECT_THAT(external["determinism"]["onednn"].get<std::string>(), HasSubstr("MKL-DNN v"));
  EXPECT_THAT(external["command"].dump(), HasSubstr("--ledger-tensors"));
  EXPECT_EQ(external["directory"], repo().native());
  EXPECT_TRUE(external["environment"].contains("PATH"));
  const Json& internal = definition["internalParameters"];
  for (const char* field :
       {"/hardware/cpu/model", "/hardware/memory_bytes", "/hardware/network", "/software/os",
        "/software/kernel", "/software/libc", "/software/compiler", "/software/libtorch",
        "/software/libtorch_build", "/software/libraries", "/software/threads", "/software/program",
        "/software/cuda", "/software/cudnn", "/software/nccl", "/software/hdf5"}) {
    EXPECT_TRUE(internal.contains(Json::json_pointer(field))) << field;
  }
  EXPECT_THAT(internal["software"]["libtorch_build"].get<std::string>(), HasSubstr("CUDA"));
  for (const char* library : {"libcrypto.so", "libzip.so", "libgit2.so", "libtorch_cpu.so"}) {
    EXPECT_THAT(internal["software"]["libraries"].dump(), HasSubstr(library));
  }
  EXPECT_EQ(internal["software"]["program"], sha256_file(kTrain).hex());
  std::map<std::string, Json> dependencies;
  for (const Json& one : definition["resolvedDependencies"]) dependencies[one["name"]] = one;
  EXPECT_EQ(dependencies["code"]["digest"]["gitCommit"], must(repo(), "git rev-parse HEAD"));
  EXPECT_EQ(dependencies["code"]["annotations"]["dirty"], true);
  EXPECT_TRUE(dependencies["data/train"]["digest"].contains("sha256"));
  EXPECT_TRUE(dependencies["data/val"]["digest"].contains("sha256"));

  // The code that trained comes back, changed and untracked files with it.
  must(repo(), kRepro + " restore base ../code");
  EXPECT_EQ(get(*scratch_ / "code/model.py"), "depth = 4\n");
  must(*scratch_ / "code", "git init -q");
  EXPECT_EQ(git_tree_of(*scratch_ / "code"), dependencies["code"]["digest"]["gitTree"]);
}

TEST_F(RunEvidence, EachProcessAndEachResumeAddsARecord) {
  copy("again");
  must(repo(), kTrain + " -q --resume-from 'again/<ep1>'");
  must(repo(), kEval + " -q again >/dev/null");
  must(repo(), kTrain + kSettings + "--nproc 2 --work-dir two");
  const auto kinds = [](const Json& whole) {
    std::vector<std::string> out;
    for (const Json& one : whole["predicate"]["runDetails"]["reprise_records"]) {
      EXPECT_EQ(one["exit_code"], 0);
      EXPECT_GT(one["duration_s"], 0);
      out.push_back(one["kind"].get<std::string>() + " " + one["rank"].dump() + " of " +
                    one["world_size"].dump());
    }
    return out;
  };
  const Json again = statement("again");
  EXPECT_THAT(kinds(again), testing::ElementsAre("start 0 of 1", "resume 0 of 1", "eval 0 of 1"));
  const Json& resumed = again["predicate"]["runDetails"]["reprise_records"][1];
  EXPECT_EQ(resumed["from_update"], kUpdates / 2);
  EXPECT_THAT(resumed["resumed_from"].get<std::string>(), HasSubstr("_ep0001_"));
  const Json two = statement("two");
  EXPECT_THAT(kinds(two), testing::ElementsAre("start 0 of 2", "process 1 of 2"));
  EXPECT_EQ(two["predicate"]["runDetails"]["reprise_records"][1]["sums"], "through shared memory");
  EXPECT_FALSE(
      two["predicate"]["runDetails"]["reprise_records"][1]["differs"].contains("code.tree"));
  EXPECT_EQ(run(kRepro + " verify two").code, 0);
}

TEST_F(RunEvidence, RunsOfOtherCadenceLengthAndWorldSizeAreTheSame) {
  must(repo(), kTrain + kSettings +
                   "--nproc 2 --save-every-updates 3 --val-every-updates 2 --ledger-tensors 3 "
                   "--log-every 1 --work-dir cadence");
  must(repo(), kTrain + kSettings + "--max-updates 5 --no-validate --work-dir shorter");
  const auto audit = [](const std::string& other) {
    const Outcome outcome = run(kRepro + " audit base " + other + " --json");
    EXPECT_EQ(outcome.code, 0) << outcome.out;
    return parse_json(outcome.out);
  };
  const Json cadence = audit("cadence");
  EXPECT_EQ(cadence["compared_updates"], kUpdates);
  EXPECT_EQ(cadence["summary"], "The same, for all 8 updates.");
  const Json shorter = audit("shorter");
  EXPECT_EQ(shorter["compared_updates"], 5);
  EXPECT_EQ(shorter["summary"], "The same up to update 5; then only A goes on, to 8.");
}

// Also of a run of two processes, from within an epoch, and over the end of one.
TEST_F(RunEvidence, ReplayPassesFromEveryCheckpoint) {
  must(repo(), kTrain + kSettings + "--nproc 2 --save-every-updates 3 --work-dir stretches");
  std::vector<std::string> from;
  for (const auto& entry : fs::directory_iterator(repo() / "stretches/checkpoints")) {
    from.push_back(entry.path().string());
  }
  ASSERT_EQ(from.size(), 4u) << "after updates 3, 4, 6 and 8";
  int passed = 0;
  for (const std::string& file : from) {
    const Outcome outcome = run(kRepro + " replay stretches --from '" + file + "'");
    if (outcome.code == 15) {
      EXPECT_THAT(outcome.out, HasSubstr("nothing lies behind update 8"));
      continue;
    }
    EXPECT_EQ(outcome.code, 0) << outcome.out;
    EXPECT_THAT(outcome.out, HasSubstr("to 8: the same, every line"));
    ++passed;
  }
  EXPECT_EQ(passed, 3);
  const Outcome none = run(kRepro + " replay base --from ep1");
  EXPECT_EQ(none.code, 10);
  EXPECT_THAT(none.out, HasSubstr("'<ep1>'"));
  EXPECT_EQ(run(kRepro + " replay base --from '<ep1>' --updates 0").code, 2);
}

// What a run keeps and when it stops says nothing of its bits, and contradicts a replay's own
// options.
TEST_F(RunEvidence, ARunThatKeepsTheBestAndStopsEarlyIsReplayed) {
  // Nothing is learnt, so the first epoch stays the best one.
  must(repo(), kTrain + kSettings +
                   "--lr 0 --weight-decay 0 --save-best-only --patience 7 --tolerance 0.5 "
                   "--work-dir best");
  const Outcome outcome = run(kRepro + " replay best --from '<ep1>'");
  EXPECT_EQ(outcome.code, 0) << outcome.out;
  EXPECT_THAT(outcome.out, HasSubstr("updates 5 to 8: the same, every line of 4"));
}

// Training must not go on by itself, nor fill the disk, when somebody ends the replay.
TEST_F(RunEvidence, AReplayThatIsEndedLeavesNothingBehind) {
  const fs::path temporary = *scratch_ / "temporary";
  fs::create_directories(temporary);
  // A trainer that would go on for long.
  put(*scratch_ / "slow", "#!/bin/sh\nmkdir -p \"$4\"\ntouch \"$4/started\"\nexec sleep 98765\n");
  must(scratch_->path(), "chmod +x slow");
  const Outcome outcome =
      run("export TMPDIR=" + temporary.native() + "; timeout -k 1 30 " + kRepro +
          " replay base --from '<ep1>' --train ../slow & pid=$!; while ! test -e " +
          temporary.native() + "/*/started; do sleep 0.02; done; kill -TERM $pid; wait $pid");
  EXPECT_EQ(outcome.code, 128 + SIGTERM) << outcome.out;
  EXPECT_EQ(must(temporary, "ls -A"), "");
  EXPECT_NE(run("pgrep -f '[s]leep 98765'").code, 0) << "training still runs";
}

// By a program that was written from docs/ledger-format.md, with h5py for the values.
TEST_F(RunEvidence, TheLedgerIsWhatItsFormatDocumentSays) {
  if (!fs::exists(REPRISE_PYTHON)) GTEST_SKIP() << "needs " REPRISE_PYTHON;
  const Json found = parse_json(must(repo(), std::string(REPRISE_PYTHON) +
                                                 " -B " REPRISE_SOURCE_DIR
                                                 "/tests/repro/ledger/reference_ledger.py base " +
                                                 REPRISE_BIN_CKPT));
  EXPECT_EQ(found["updates"], kUpdates);
  EXPECT_EQ(found["states"], 2);
  EXPECT_GT(found["tensors"], 1000);
  engine::TrainSampler sampler(5, 32, 8);
  for (const std::string& line : lines("base")) {
    const Json update = parse_json(line);
    if (!update.contains("batch")) continue;
    const auto ids = sampler.next().ids;
    const std::int64_t shape[] = {static_cast<std::int64_t>(ids.size())};
    EXPECT_EQ(update["batch"],
              ledger::digest_tensor({"batch", DType::kUInt64, shape, std::as_bytes(std::span(ids))})
                  .hex());
  }
}

// A run may begin its ledger when it is resumed; what it lacks is said, the rest holds.
TEST_F(RunEvidence, ALedgerThatBeginsOnAResumeIsWhole) {
  must(repo(), kTrain + kSettings + "--no-ledger --work-dir late");
  must(repo(), kTrain + " -q --resume-from 'late/<ep1>' --ledger --allow-config-change");
  EXPECT_EQ(run(kRepro + " verify late").code, 0);
  const Outcome outcome = run(kRepro + " audit base late");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("for all 4 updates after which both were recorded"));
  EXPECT_EQ(run(kRepro + " replay late --from '<ep1>'").code, 15);
}

TEST_F(RunEvidence, EditedMissingAndRepeatedLinesAreNamedByEveryCommand) {
  copy("damaged");
  const std::vector<std::string> whole = lines("base");
  const std::size_t at = line_of(6) - 1;  // from 0
  std::vector<std::string> edited = whole, missing = whole, repeated = whole, binary = whole;
  const std::size_t digit = edited[at].find("\"grad\":\"") + 8;
  edited[at][digit] = edited[at][digit] == '0' ? '1' : '0';
  missing.erase(missing.begin() + static_cast<std::ptrdiff_t>(at));
  repeated.insert(repeated.begin() + static_cast<std::ptrdiff_t>(at), whole[at]);
  binary[at] = std::string("\0\xff{", 3);
  const struct {
    const char* name;
    const std::vector<std::string>& lines;
    std::size_t line;  // that the messages name
  } cases[] = {{"edited", edited, at + 2},
               {"missing", missing, at + 1},
               {"repeated", repeated, at + 2},
               {"binary", binary, at + 1}};
  for (const auto& one : cases) {
    write("damaged", one.lines, false);
    for (const char* command : {"verify damaged", "audit base damaged", "audit damaged base",
                                "replay damaged --from '<ep1>'"}) {
      const Outcome outcome = run(kRepro + " " + command);
      EXPECT_EQ(outcome.code, 12) << one.name << ": " << command << "\n" << outcome.out;
      EXPECT_THAT(outcome.out, HasSubstr("line " + std::to_string(one.line) + ":"))
          << one.name << ": " << command;
    }
    const Outcome resumed = run(kTrain + " -q --resume-from damaged");
    EXPECT_EQ(resumed.code, 12) << one.name << "\n" << resumed.out;
    EXPECT_THAT(resumed.out, HasSubstr("line " + std::to_string(one.line) + ":")) << one.name;
  }
}

TEST_F(RunEvidence, AChainThatDoesNotMatchItsCheckpointIsNamed) {
  copy("forged");
  std::vector<std::string> forged = lines("base");
  const std::size_t at = line_of(2) - 1;
  const std::size_t digit = forged[at].find("\"param\":\"") + 9;
  forged[at][digit] = forged[at][digit] == '0' ? '1' : '0';
  write("forged", forged, true);
  const Outcome outcome = run(kRepro + " verify forged");
  EXPECT_EQ(outcome.code, 1) << outcome.out;
  EXPECT_THAT(outcome.out, HasSubstr("ok    ledger.jsonl"));
  EXPECT_THAT(outcome.out, HasSubstr("saved at update 4 with chain"));
  EXPECT_THAT(outcome.out, HasSubstr("saved at update 8 with chain"));
  EXPECT_EQ(run(kRepro + " replay forged --from '<ep1>'").code, 15);
  EXPECT_EQ(run(kTrain + " -q --resume-from 'forged/<ep1>'").code, 15);
}

TEST_F(RunEvidence, ATornLastLineIsSaidAndRepairedOnResume) {
  copy("torn");
  const std::string whole = get(repo() / "torn/ledger.jsonl");
  // Killed in the middle of writing update 7: a later checkpoint was not published yet.
  const std::size_t begin = whole.find("{\"update\":7,");
  put(repo() / "torn/ledger.jsonl", whole.substr(0, begin + 100));
  fs::remove(store::resolve((repo() / "torn/<ep2>").string()));
  const Outcome verified = run(kRepro + " verify torn");
  EXPECT_EQ(verified.code, 1);
  EXPECT_THAT(verified.out, HasSubstr("the last line is torn (100 bytes)"));
  EXPECT_EQ(run(kRepro + " audit base torn").code, 0) << "it does not count";

  must(repo(), kTrain + " -q --resume-from torn");
  EXPECT_THAT(get(repo() / "torn/train.log"),
              HasSubstr("update 4: took a torn last line of 100 bytes off the ledger"));
  EXPECT_EQ(get(repo() / "torn/ledger.jsonl"), whole) << "one unbroken chain";
  EXPECT_EQ(run(kRepro + " verify torn").code, 0);
}

TEST_F(RunEvidence, TheVerdictOfAReplayIsAnInTotoTestResultThatCanBeSigned) {
  must(repo(), kRepro + " replay base --from '<ep1>' -o ../verdict.json");
  const Json verdict = parse_json(get(*scratch_ / "verdict.json"));
  EXPECT_EQ(verdict["_type"], "https://in-toto.io/Statement/v1");
  EXPECT_EQ(verdict["predicateType"], "https://in-toto.io/attestation/test-result/v0.1");
  EXPECT_EQ(verdict["predicate"]["result"], "PASSED");
  EXPECT_EQ(verdict["predicate"]["passedTests"], Json::array({"updates 5 to 8"}));
  EXPECT_EQ(verdict["predicate"]["configuration"][0]["digest"]["sha256"],
            sha256_file(store::resolve((repo() / "base/<ep1>").string())).hex());
  EXPECT_EQ(verdict["subject"][0]["digest"]["sha256"],
            sha256_file(repo() / "base/ledger.jsonl").hex());
  if (shell("/", std::string(REPRISE_PYTHON) + " -c 'import in_toto_attestation'").code == 0) {
    const std::string read = std::string(REPRISE_PYTHON) + " -B " REPRISE_SOURCE_DIR
                                                           "/tests/repro/attest/read_statement.py ";
    const Json seen = parse_json(must(scratch_->path(), read + "verdict.json"));
    EXPECT_EQ(seen["result"], "PASSED");
    EXPECT_EQ(seen["passed"], verdict["predicate"]["passedTests"]);
    EXPECT_EQ(parse_json(must(repo(), read + "base/fingerprint.json"))["dependencies"],
              Json::array({"code", "data/train", "data/val"}));
  }
  must(scratch_->path(), kRepro + " keygen k && " + kRepro + " sign verdict.json --key k.key && " +
                             kRepro + " verify verdict.dsse.json --key k.pub");
}

}  // namespace
}  // namespace reprise::training
