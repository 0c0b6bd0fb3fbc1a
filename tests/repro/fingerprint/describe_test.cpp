#include "ckpt/base/parallel.h"
#include "repro/fingerprint/data_digest.h"
#include "repro/fingerprint/difference.h"
#include "repro/fingerprint/difference_text.h"
#include "repro/fingerprint/environment.h"
#include "repro/fingerprint/fingerprint.h"
#include "repro/fingerprint/glob.h"
#include "repro/fingerprint/gpu.h"
#include "repro/fingerprint/machine.h"
#include "repro/fingerprint/python.h"

#include "ckpt/base/error.h"
#include "tests/repro/shell.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

namespace reprise::fingerprint {
namespace {

using namespace testing_shell;

TEST(Machine, AgreesWithTheSystemsOwnTools) {
  const Json hardware = describe_hardware();
  EXPECT_EQ(hardware["cpu"]["usable"], available_cores());
  EXPECT_EQ(std::to_string(hardware["memory_bytes"].get<std::uint64_t>() / 1024),
            must("/tmp", "awk '/^MemTotal/ {print $2}' /proc/meminfo"));
  const Json system = describe_system();
  EXPECT_EQ(system["kernel"], must("/tmp", "uname -srm"));
  EXPECT_EQ(system["libc"], must("/tmp", "getconf GNU_LIBC_VERSION"));
}

TEST(Machine, AgreesWithLscpuAndTheKernelsList) {
  if (shell("/", "command -v lscpu").code != 0) GTEST_SKIP() << "needs lscpu";
  const auto lscpu = [](const char* key) {
    return must("/tmp", fmt::format("LC_ALL=C lscpu | sed -n 's/^{}: *//p' | head -1", key));
  };
  const Json hardware = describe_hardware();
  EXPECT_EQ(hardware["cpu"]["model"], lscpu("Model name"));
  const std::string nodes = lscpu("NUMA node(s)");
  EXPECT_EQ(std::to_string(hardware.value("numa", Json::array()).size()),
            nodes.empty() ? "0" : nodes);
  const std::string flags = " " + lscpu("Flags") + " ";
  for (const Json& feature : hardware["cpu"]["features"]) {
    EXPECT_THAT(flags, testing::HasSubstr(" " + feature.get<std::string>() + " "));
  }
  std::string names;
  for (const Json& one : hardware["network"]) {
    if (one.value("kind", "") != "infiniband") names += one["name"].get<std::string>() + "\n";
  }
  EXPECT_EQ(names, shell("/sys/class/net",
                         "for i in $(ls | LC_ALL=C sort); do test $i = lo || grep -qx down "
                         "$i/operstate || echo $i; done")
                       .out);
}

TEST(Gpu, OneMadeUpCardThroughTheLibraryFoundAtRunTime) {
  const Scratch scratch;
  const fs::path library = REPRISE_STAND_IN_NVML;
  must(scratch.path(), "LD_LIBRARY_PATH=" + library.parent_path().native() + " " +
                           REPRISE_BIN_REPRO + " capture -q -o run >/dev/null");
  const Json statement = load(scratch / "run");
  const Json hardware = fields(statement)["hardware"];
  EXPECT_EQ(hardware["driver"], "570.86.15");
  EXPECT_EQ(hardware["cuda_driver"], "12.8");
  ASSERT_EQ(hardware["gpus"].size(), 1u) << "one of two cards answers";
  const Json& gpu = hardware["gpus"][0];
  EXPECT_EQ(gpu["name"], "Stand-in Card");
  EXPECT_EQ(gpu["memory_bytes"], 85899345920ULL);
  EXPECT_EQ(gpu["ecc"], true);
  EXPECT_FALSE(gpu.contains("mig"));
  EXPECT_EQ(gpu["clock_sm_mhz"], 1980);
}

TEST(Environment, AllowListOnlyAndSecretsRedacted) {
  setenv("OMP_NUM_THREADS", "3", 1);
  setenv("MY_PRIVATE_THING", "x", 1);
  setenv("TORCH_HUB_TOKEN", "a1b2c3d4e5f6g7h8", 1);
  Json environment = describe_environment();
  EXPECT_EQ(environment["OMP_NUM_THREADS"], "3");
  EXPECT_FALSE(environment.contains("MY_PRIVATE_THING"));
  EXPECT_EQ(environment["TORCH_HUB_TOKEN"], "[redacted: a token]");
  const std::vector<std::string> more = {"MY_PRIVATE_THING"};
  EXPECT_EQ(describe_environment(more)["MY_PRIVATE_THING"], "x");
}

TEST(Job, SlurmTorchrunAndNothing) {
  for (const char* name : {"SLURM_JOB_ID", "RANK", "WORLD_SIZE", "KUBERNETES_SERVICE_HOST",
                           "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "TORCHELASTIC_RUN_ID"}) {
    unsetenv(name);
  }
  EXPECT_TRUE(describe_job().empty());
  setenv("SLURM_JOB_ID", "42", 1);
  setenv("SLURM_PROCID", "3", 1);
  setenv("SLURM_NTASKS", "8", 1);
  Json job = describe_job();
  EXPECT_EQ(job["scheduler"], "slurm");
  EXPECT_EQ(job["rank"], 3);
  EXPECT_EQ(job["world_size"], 8);
  EXPECT_EQ(job["variables"]["SLURM_JOB_ID"], "42");
  setenv("RANK", "5", 1);
  setenv("WORLD_SIZE", "16", 1);
  job = describe_job();
  EXPECT_EQ(job["scheduler"], "slurm+torchrun");
  EXPECT_EQ(job["rank"], 5);
  unsetenv("SLURM_JOB_ID");
  EXPECT_EQ(describe_job()["scheduler"], "torchrun");
  setenv("WORLD_SIZE", "many", 1);
  EXPECT_FALSE(describe_job().contains("world_size"));
  unsetenv("RANK");
  unsetenv("WORLD_SIZE");
}

TEST(Job, KubernetesAndMpi) {
  for (const char* name : {"SLURM_JOB_ID", "RANK", "WORLD_SIZE", "TORCHELASTIC_RUN_ID"}) {
    unsetenv(name);
  }
  setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1", 1);
  setenv("POD_NAME", "train-2", 1);
  setenv("JOB_COMPLETION_INDEX", "2", 1);
  Json job = describe_job();
  EXPECT_EQ(job["scheduler"], "kubernetes");
  EXPECT_EQ(job["rank"], 2);
  EXPECT_EQ(job["variables"]["POD_NAME"], "train-2");
  EXPECT_EQ(describe_system()["container"]["kind"], "kubernetes");
  for (const char* name : {"KUBERNETES_SERVICE_HOST", "POD_NAME", "JOB_COMPLETION_INDEX"}) {
    unsetenv(name);
  }
  setenv("OMPI_COMM_WORLD_RANK", "1", 1);
  setenv("OMPI_COMM_WORLD_SIZE", "4", 1);
  job = describe_job();
  EXPECT_EQ(job["scheduler"], "mpi");
  EXPECT_EQ(job["rank"], 1);
  EXPECT_EQ(job["world_size"], 4);
  unsetenv("OMPI_COMM_WORLD_RANK");
  unsetenv("OMPI_COMM_WORLD_SIZE");
}

TEST(DifferenceText, ShowsWhatAPersonLooksFor) {
  const auto shown = [](const char* field, const Json& a, const Json& b) {
    const DifferenceText text = text_of(field, a, b);
    return text.a + " | " + text.b;
  };
  EXPECT_EQ(shown("seeds.seed", 7, nullptr), "7 | (none)");
  EXPECT_EQ(shown("data.train.sha256", std::string(64, 'a'), "short"), "aaaaaaaaaaaa... | short");
  EXPECT_EQ(shown("command", Json::array({"train", "--lr", "0.1", "-q", "--seed=1"}),
                  Json::array({"train", "-q", "--lr", "0.2", "--seed=1"})),
            "--lr 0.1 | --lr 0.2");
  EXPECT_EQ(shown("software.libraries", Json::array({"libc.so.6", "libz.so.1"}),
                  Json::array({"libc.so.6"})),
            "libz.so.1 | (nothing more)");
  EXPECT_EQ(shown("x", Json::array({"a", "b"}), Json::array({"b", "a"})),
            "[\"a\",\"b\"] | [\"b\",\"a\"]");
  EXPECT_EQ(shown("x", "\x1b[2J", 1), "\\x1b[2J | 1") << "nothing drives a terminal";
}

TEST(Python, OnlyWhatIsPython) {
  EXPECT_TRUE(describe_python(std::vector<std::string>{"true"}).empty());
  EXPECT_TRUE(describe_python(std::vector<std::string>{"no-such-program"}).empty());
  EXPECT_TRUE(describe_python(std::vector<std::string>{}).empty());
  const Scratch scratch;
  // Called python, and hangs: it has its time and is ended.
  put(scratch / "python3", "not a program");
  must(scratch.path(), "chmod +x python3");
  EXPECT_FALSE(describe_python(std::vector<std::string>{(scratch / "python3").native()})
                   .contains("version"));
}

// It may be anything, and gives no answer for as long as it likes.
TEST(Python, WhatDripsHasThreeSecondsInAll) {
  const Scratch scratch;
  put(scratch / "python3", "#!/bin/sh\nwhile :; do printf x; sleep 0.2; done\n");
  must(scratch.path(), "chmod +x python3");
  const auto start = std::chrono::steady_clock::now();
  describe_python(std::vector<std::string>{(scratch / "python3").native()});
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
}

TEST(Glob, StarsAndQuestionMarks) {
  EXPECT_TRUE(matches_glob("data/*", "data/a/b.bin"));
  EXPECT_TRUE(matches_glob("*.bin", "data/a/b.bin"));
  EXPECT_TRUE(matches_glob("*", ""));
  EXPECT_TRUE(matches_glob("a?c*", "abc"));
  EXPECT_TRUE(matches_glob("configuration.*batch*", "configuration.batch-size"));
  EXPECT_FALSE(matches_glob("data", "data/a"));
  EXPECT_FALSE(matches_glob("a?c", "ac"));
  EXPECT_FALSE(matches_glob("", "a"));
  // A matcher that tries each star anew needs longer than the universe has for this one.
  std::string stars;
  for (int i = 0; i < 60; ++i) stars += "*a";
  EXPECT_FALSE(matches_glob(stars + "b", std::string(2000, 'a')));
  EXPECT_TRUE(matches_glob(stars, std::string(2000, 'a')));
}

TEST(DataDigest, ByPathAndContentWhateverOrderLinksAndPlace) {
  const Scratch scratch;
  put(scratch / "a/train/0.jpg", "zero");
  put(scratch / "a/train/1.jpg", "one");
  put(scratch / "a/empty", "");
  const DataDigest a = digest_data("train", scratch / "a");
  EXPECT_EQ(a.files, 3u);
  EXPECT_EQ(a.bytes, 7u);
  // The definition, by other tools.
  const std::string lines =
      "cd a && for f in empty train/0.jpg train/1.jpg; do printf '%s\\0%s\\0%s\\n' $f "
      "$(stat -c %s $f) $(sha256sum < $f | cut -c1-64); done | sha256sum | cut -c1-64";
  EXPECT_EQ(a.digest.hex(), must(scratch.path(), lines));
  must(scratch.path(), "mkdir b && cp -r a/train store && ln -s ../store b/train && touch b/empty");
  EXPECT_EQ(digest_data("x", scratch / "b", 1).digest, a.digest);
  put(scratch / "b/train/1.jpg", "eno");
  EXPECT_NE(digest_data("x", scratch / "b").digest, a.digest);
  put(scratch / "one.bin", "zero");
  put(scratch / "other.bin", "zero");
  EXPECT_EQ(digest_data("x", scratch / "one.bin").digest,
            digest_data("x", scratch / "other.bin").digest);
  must(scratch.path(), "ln -s .. a/train/loop");
  EXPECT_THROW(digest_data("x", scratch / "a"), Error);
  EXPECT_THROW(digest_data("x", scratch / "nowhere"), Error);
}

// Two statements that differ in exactly one option: what it is called and how it ranks.
struct Case {
  std::function<void(Options&)> change;
  const char* field;
  Influence influence;
};

TEST(Difference, EveryKindOfCauseHasItsRank) {
  Options base;
  base.code = false;
  base.directory = "/tmp";
  base.configuration = {{"lr", 0.1}, {"batch_size", 32}, {"work_dir", "a"}, {"log_every", 10}};
  base.seeds = {{"seed", 1337}};
  base.determinism = {{"deterministic", true}};
  base.software = {{"libtorch", "2.11.0"}};
  base.data = {{"train", "/data", 1, 1, sha256("a")}};
  const Json a = capture(base).statement;
  const Case cases[] = {
      {[](Options& o) { o.seeds["seed"] = 1338; }, "seeds.seed", Influence::kLikely},
      {[](Options& o) { o.data[0].digest = sha256("b"); }, "data.train.sha256", Influence::kLikely},
      {[](Options& o) { o.configuration["batch_size"] = 64; }, "configuration.batch_size",
       Influence::kLikely},
      {[](Options& o) { o.determinism["deterministic"] = false; }, "determinism.deterministic",
       Influence::kLikely},
      {[](Options& o) { o.configuration["lr"] = 0.2; }, "configuration.lr", Influence::kLikely},
      {[](Options& o) { o.software["libtorch"] = "2.12.0"; }, "software.libtorch",
       Influence::kLikely},
      {[](Options& o) { o.configuration["work_dir"] = "b"; }, "configuration.work_dir",
       Influence::kUnlikely},
      {[](Options& o) { o.data[0].path = "/other"; }, "data.train.path", Influence::kUnlikely},
  };
  Options all = base;
  for (const Case& one : cases) {
    Options changed = base;
    one.change(changed);
    one.change(all);
    const Json b = capture(changed).statement;
    const auto found = differences(a, b);
    ASSERT_EQ(found.size(), 1u) << one.field;
    EXPECT_EQ(found[0].field, one.field);
    EXPECT_EQ(found[0].influence, one.influence) << one.field;
    EXPECT_EQ(digest(a) == digest(b), one.influence == Influence::kUnlikely) << one.field;
  }
  std::vector<std::string> order;
  for (const Difference& difference : differences(a, capture(all).statement)) {
    order.push_back(difference.field);
  }
  std::vector<std::string> expected;
  for (const Case& one : cases) expected.emplace_back(one.field);
  EXPECT_EQ(order.front(), expected.front());
  EXPECT_EQ(std::vector<std::string>(order.begin(), order.begin() + 6),
            std::vector<std::string>(expected.begin(), expected.begin() + 6));
}

TEST(Difference, AFieldThatOneSideLacksIsNullThere) {
  Options options;
  options.code = false;
  const Json a = capture(options).statement;
  options.seeds = {{"seed", 1}};
  const Json b = capture(options).statement;
  const auto found = differences(a, b);
  const auto at = std::find_if(found.begin(), found.end(),
                               [](const Difference& d) { return d.field == "seeds.seed"; });
  ASSERT_NE(at, found.end());
  EXPECT_TRUE(at->a.is_null());
  EXPECT_EQ(at->b, 1);
}

}  // namespace
}  // namespace reprise::fingerprint
