#include "ckpt/store/run_directory.h"
#include "ckpt/store/save.h"
#include "tests/ckpt/cli/ckpt_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace reprise::cli {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

class ShowLsVerify : public testing::Test {
 protected:
  void SetUp() override {
    fs::rename(store::save(sample::model(1, 3, 0.25), scratch_.path()).path, scratch_ / "a.h5");
  }

  Outcome run(std::vector<std::string> arguments) const {
    return ckpt(scratch_.path(), std::move(arguments));
  }

  const sample::Scratch scratch_;
};

TEST_F(ShowLsVerify, ShowSaysWhatItIs) {
  const Outcome shown = run({"show", "a.h5"});
  EXPECT_EQ(shown.code, 0);
  EXPECT_EQ(shown.err, "");
  EXPECT_EQ(shown.out,
            "file           a.h5\n"
            "format         hdf5, schema 5\n"
            "type           model\n"
            "arch           tiny_net\n"
            "epoch          3\n"
            "update         30\n"
            "uuid           " +
                sample::uuid(1).text() +
                "\n"
                "model          2 tensors, 64 B\n"
                "in all         8 tensors, 200 B\n"
                "resumable      yes\n"
                "\n"
                "metric    mode  last  best  values  \n"
                "val/acc1  max   0.25  0.25       1  decides which is best\n");
}

TEST_F(ShowLsVerify, ShowJsonHasTheDocumentedKeys) {
  const Outcome shown = run({"show", "a.h5", "--json"});
  EXPECT_EQ(shown.code, 0);
  EXPECT_EQ(shown.err, "");
  const Json json = parse_json(shown.out);
  std::vector<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  EXPECT_THAT(
      keys, testing::ElementsAre("path", "container", "schema", "dialect", "type", "epoch", "uuid",
                                 "uuid_backbone", "arch", "arch_head", "resumable", "tensors",
                                 "tensor_bytes", "metrics", "parents", "run", "update"));
  EXPECT_EQ(json["schema"], 5);
  EXPECT_EQ(json["dialect"], nullptr);
  EXPECT_EQ(json["epoch"], 3);
  EXPECT_EQ(json["update"], 30);
  EXPECT_EQ(json["resumable"], true);
  EXPECT_EQ(json["tensors"], 8);
  EXPECT_EQ(json["tensor_bytes"], 200);
  EXPECT_EQ(json["metrics"]["val/acc1"]["best"], 0.25);
}

TEST_F(ShowLsVerify, ShowConfigPrintsTheConfigurationAlone) {
  EXPECT_EQ(parse_json(run({"show", "a.h5", "--config"}).out), sample::model(1, 3, 0.25).config);
}

TEST_F(ShowLsVerify, LsAlignsItsColumns) {
  const Outcome listed = run({"ls", "a.h5"});
  EXPECT_EQ(listed.code, 0);
  EXPECT_EQ(listed.out,
            "name                          dtype    shape   bytes\n"
            "model/fc.weight               float32  [3, 4]     48\n"
            "model/fc.bias                 float32  [4]        16\n"
            "optimizer/state/0/step        float32  []          4\n"
            "optimizer/state/0/exp_avg     float32  [12]       48\n"
            "optimizer/state/0/exp_avg_sq  float32  [12]       48\n"
            "optimizer/state/1/step        float32  []          4\n"
            "optimizer/state/1/exp_avg     float32  [4]        16\n"
            "optimizer/state/1/exp_avg_sq  float32  [4]        16\n");
  EXPECT_EQ(listed.err, "8 tensors, 200 B\n");
  EXPECT_EQ(run({"ls", "a.h5", "-q"}).err, "");
}

TEST_F(ShowLsVerify, LsDigestIsThatOfTheValues) {
  const std::string expected = sample::model(1, 3, 0.25).model.find("fc.bias")->digest().hex();
  const Json json = parse_json(run({"ls", "--json", "--digest", "a.h5"}).out);
  EXPECT_EQ(json["tensors"][1]["name"], "model/fc.bias");
  EXPECT_EQ(json["tensors"][1]["sha256"], expected);
  EXPECT_EQ(json["tensors"][1]["shape"], Json::array({4}));
  EXPECT_EQ(parse_json(run({"ls", "--json", "a.h5"}).out)["tensors"][1]["sha256"], nullptr);
  EXPECT_THAT(run({"ls", "--digest", "a.h5"}).out,
              HasSubstr("float32  [4]        16  " + expected));
}

TEST_F(ShowLsVerify, VerifyGoesOnAfterABadFile) {
  std::string bytes = content(scratch_ / "a.h5");
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  std::ofstream(scratch_ / "bad.h5", std::ios::binary) << bytes;
  const Outcome verified = run({"verify", "bad.h5", "a.h5"});
  EXPECT_EQ(verified.code, 1);
  EXPECT_TRUE(verified.out.starts_with("BAD  bad.h5\n     corrupt: bad.h5: ")) << verified.out;
  EXPECT_TRUE(verified.out.ends_with("\nok   a.h5\n")) << verified.out;
  EXPECT_EQ(run({"verify", "--deep", "a.h5"}).code, 0);
}

TEST_F(ShowLsVerify, VerifyJsonNamesEachProblem) {
  fs::copy_file(scratch_ / "a.h5", scratch_ / "short.h5");
  fs::resize_file(scratch_ / "short.h5", 5000);
  const Outcome verified = run({"verify", "--json", "a.h5", "short.h5"});
  EXPECT_EQ(verified.code, 1);
  const Json json = parse_json(verified.out);
  EXPECT_EQ(json["files"][0]["ok"], true);
  EXPECT_EQ(json["files"][0]["problems"], Json::array());
  EXPECT_EQ(json["files"][1]["path"], "short.h5");
  EXPECT_EQ(json["files"][1]["ok"], false);
  EXPECT_EQ(json["files"][1]["problems"][0]["problem"], "corrupt");
  EXPECT_EQ(json["files"][1]["problems"][0]["exit_code"], 12);
}

TEST_F(ShowLsVerify, MissingFileIsNoAnswer) {
  const Outcome verified = run({"verify", "none.h5", "a.h5"});
  EXPECT_EQ(verified.code, 10);
  EXPECT_EQ(verified.out,
            "BAD  none.h5\n     not found: none.h5: No such file or directory\nok   a.h5\n");
}

TEST_F(ShowLsVerify, EveryFlippedByteIsFound) {
  const std::string bytes = content(scratch_ / "a.h5");
  // In one process for each file: batches keep the test short.
  constexpr std::size_t kBatch = 256;
  for (std::size_t first = 0; first < bytes.size(); first += kBatch) {
    std::vector<std::string> arguments = {"verify", "--json"};
    const std::size_t last = std::min(first + kBatch, bytes.size());
    for (std::size_t i = first; i < last; ++i) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
      const std::string name = "flip" + std::to_string(i - first) + ".h5";
      std::ofstream(scratch_ / name, std::ios::binary) << damaged;
      arguments.push_back(name);
    }
    const Outcome verified = run(arguments);
    EXPECT_EQ(verified.code, 1);
    const Json json = parse_json(verified.out);
    for (std::size_t i = first; i < last; ++i) {
      EXPECT_EQ(json["files"][i - first]["ok"], false) << "byte " << i;
    }
  }
}

TEST_F(ShowLsVerify, MissingBackboneIsReportedAndAProblemOnlyWhenAskedFor) {
  const store::RunDirectory head_run = store::RunDirectory::create(scratch_ / "runs/head");
  store::save(sample::head_for(5, sample::uuid(6)), head_run.checkpoints());
  Outcome verified = run({"verify", "runs/head/<last>"});
  EXPECT_EQ(verified.code, 0);
  EXPECT_THAT(verified.err, HasSubstr("backbone " + sample::uuid(6).text() + " was not found"));
  EXPECT_EQ(run({"verify", "--lineage", "runs/head/<last>"}).code, 1);
  const store::RunDirectory net_run = store::RunDirectory::create(scratch_ / "runs/net");
  store::save(sample::model(6, 1, 0), net_run.checkpoints());
  verified = run({"verify", "--lineage", "runs/head/<last>"});
  EXPECT_EQ(verified.code, 0);
  EXPECT_EQ(verified.err, "");
}

TEST_F(ShowLsVerify, NamesFromAFileCannotDriveTheTerminal) {
  Checkpoint c = sample::model(2, 1, 0);
  c.arch = "evil\033]0;title\a";
  c.model.append("bell\a\033[2Jname", sample::floats({1}, 1));
  store::save_as(c, scratch_ / "evil.h5");
  for (const char* command : {"show", "ls", "stats", "verify"}) {
    const Outcome outcome = run({command, "evil.h5"});
    EXPECT_EQ(outcome.code, 0) << command;
    EXPECT_EQ((outcome.out + outcome.err).find('\033'), std::string::npos) << command;
    EXPECT_EQ((outcome.out + outcome.err).find('\a'), std::string::npos) << command;
  }
}

TEST_F(ShowLsVerify, ColoursOnlyWhenAskedFor) {
  EXPECT_EQ(run({"verify", "a.h5"}).out, "ok   a.h5\n");
  EXPECT_EQ(run({"verify", "a.h5", "--color", "always"}).out, "\033[32mok \033[0m  a.h5\n");
}

}  // namespace
}  // namespace reprise::cli
