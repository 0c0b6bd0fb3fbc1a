// Exported runs, read back by the tools that they are for.
#include "ckpt/base/json.h"
#include "tests/repro/cli/written_run.h"
#include "tests/repro/shell.h"

#include <gmock/gmock.h>

#include <set>

namespace reprise {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing_shell::get;
using testing_shell::make_run;
using testing_shell::must;
using testing_shell::put;
using testing_shell::Scratch;
using testing_shell::shell;
namespace fs = std::filesystem;

const std::string kRepro = REPRISE_BIN_REPRO;

class Export : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(REPRISE_PYTHON)) GTEST_SKIP() << "needs " REPRISE_PYTHON;
    make_run(scratch_ / "runs/one", 80);
    must(scratch_.path(), kRepro + " capture -q --no-snapshot -o runs/one");
    // The settings that a training program would have given.
    Json statement = parse_json(get(scratch_ / "runs/one/fingerprint.json"));
    statement["predicate"]["buildDefinition"]["externalParameters"]["configuration"] = {
        {"lr", 0.5}, {"arch", "vit's"}, {"../../escape", "x"}};
    put(scratch_ / "runs/one/fingerprint.json", dump_json(statement));
  }
  Json read_by(const std::string& script, const std::string& folder) {
    return parse_json(must(scratch_.path(), std::string(REPRISE_PYTHON) +
                                                " " REPRISE_SOURCE_DIR "/tests/repro/export/" +
                                                script + " " + folder +
                                                " 2>errors || { cat errors; false; }"));
  }
  Scratch scratch_;
};

TEST_F(Export, MlflowReadsSettingsCurvesAndArtifacts) {
  must(scratch_.path(), kRepro + " export runs/one --mlflow mlruns");
  const Json runs = read_by("read_mlflow.py", (scratch_ / "mlruns").string());
  ASSERT_EQ(runs.size(), 1u);
  const Json& run = runs[0];
  EXPECT_EQ(run.at("experiment"), "reprise");
  EXPECT_EQ(run.at("status"), "FINISHED");
  EXPECT_EQ(run.at("start"), 1767225600000) << "2026-01-01T00:00:00Z";
  EXPECT_EQ(run.at("parameters").at("lr"), "0.5");
  EXPECT_EQ(run.at("parameters").at("arch"), "vit's");
  const Json& accuracy = run.at("metrics").at("val/acc1");
  ASSERT_EQ(accuracy.size(), 3u);
  EXPECT_EQ(accuracy[1], Json::array({20, 80.0}));
  EXPECT_EQ(run.at("metrics").at("train/loss").size(), 30u);
  EXPECT_THAT(run.at("artifacts").get<std::vector<std::string>>(), Contains("fingerprint.json"));
  for (const auto& entry : fs::recursive_directory_iterator(scratch_.path())) {
    if (entry.path().filename() != "escape") continue;
    EXPECT_THAT(entry.path().string(), HasSubstr("/params/")) << "names stay below the run";
  }

  const auto again = shell(scratch_.path(), kRepro + " export runs/one --mlflow mlruns");
  EXPECT_EQ(again.code, 15) << again.out;
  make_run(scratch_ / "runs/two", 20);
  must(scratch_.path(), "sed -i s/5a6ae4ce/5a6ae4cf/ runs/two/run.json");
  must(scratch_.path(), kRepro + " export runs/two --mlflow mlruns");
  EXPECT_EQ(read_by("read_mlflow.py", (scratch_ / "mlruns").string()).size(), 2u);
}

TEST_F(Export, RoCrateIsReadByTheCommunitysLibrary) {
  must(scratch_.path(), kRepro +
                            " export runs/one --ro-crate crate --author 'A. Person' "
                            "--license https://spdx.org/licenses/CC-BY-4.0");
  const Json crate = read_by("read_crate.py", (scratch_ / "crate").string());
  EXPECT_EQ(crate.at("action"), "CreateAction");
  EXPECT_EQ(crate.at("instrument"), "urn:reprise:train");
  EXPECT_EQ(crate.at("license"), "https://spdx.org/licenses/CC-BY-4.0");
  EXPECT_EQ(crate.at("results"), crate.at("files").size());
  EXPECT_THAT(crate.at("files").get<std::vector<std::string>>(), Contains("valid.tsv"));
  EXPECT_EQ(shell(scratch_.path(), kRepro + " export runs/one --ro-crate crate").code, 15);
}

TEST_F(Export, RoCrateIsWhatTheCommunitysValidatorAsksFor) {
  if (shell("/", std::string(REPRISE_PYTHON) + " -c 'import rocrate_validator'").code != 0) {
    GTEST_SKIP() << "needs roc-validator in " REPRISE_PYTHON;
  }
  must(scratch_.path(), kRepro +
                            " export runs/one --ro-crate crate --author 'A. Person' "
                            "--license https://spdx.org/licenses/CC-BY-4.0");
  // Nothing that is required is missing; recommended are also the publisher and the author's
  // affiliation, which nobody told us, and a program whose absolute URI begins with "http".
  std::set<std::string> found;
  for (const Json& one : read_by("validate_crate.py", (scratch_ / "crate").string())) {
    EXPECT_EQ(one["severity"], "RECOMMENDED") << one;
    found.insert(one["check"].get<std::string>());
  }
  EXPECT_THAT(found, testing::ElementsAre("process-run-crate-0.5_5.1", "ro-crate-1.1_22.3",
                                          "ro-crate-1.1_30.2", "ro-crate-1.1_30.3"));
  // It does find what is wrong.
  Json metadata = parse_json(get(scratch_ / "crate/ro-crate-metadata.json"));
  metadata["@graph"][1].erase("license");
  put(scratch_ / "crate/ro-crate-metadata.json", dump_json(metadata));
  EXPECT_THAT(read_by("validate_crate.py", (scratch_ / "crate").string()).dump(),
              HasSubstr("\"REQUIRED\""));
}

TEST_F(Export, WhatLiesBesideIsLeftAlone) {
  put(scratch_ / "crate.partial/precious", "mine");
  must(scratch_.path(), kRepro + " export runs/one --ro-crate crate/");
  EXPECT_TRUE(fs::exists(scratch_ / "crate/ro-crate-metadata.json"));
  EXPECT_EQ(get(scratch_ / "crate.partial/precious"), "mine");
}

// A setting's name that is a folder of another one's: MLflow keeps one file each.
TEST_F(Export, AFailedOneLeavesNothing) {
  Json statement = parse_json(get(scratch_ / "runs/one/fingerprint.json"));
  statement["predicate"]["buildDefinition"]["externalParameters"]["configuration"] = {
      {"lr", 0.5}, {"lr/of", "x"}};
  put(scratch_ / "runs/one/fingerprint.json", dump_json(statement));
  const auto failed = shell(scratch_.path(), kRepro + " export runs/one --mlflow mlruns");
  EXPECT_EQ(failed.code, 11) << failed.out;
  EXPECT_EQ(must(scratch_.path(), "find mlruns -path '*5a6ae4ce*'"), "");
}

TEST_F(Export, WhatIsMissingIsSaid) {
  EXPECT_EQ(shell(scratch_.path(), kRepro + " export runs/one").code, 2);
  EXPECT_EQ(shell(scratch_.path(), kRepro + " export nowhere --mlflow m").code, 10);
}

}  // namespace
}  // namespace reprise
