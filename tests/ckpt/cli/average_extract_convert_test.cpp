#include "ckpt/store/load.h"
#include "ckpt/store/run_directory.h"
#include "ckpt/store/save.h"
#include "tests/ckpt/cli/ckpt_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace reprise::cli {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

class Writers : public testing::Test {
 protected:
  Outcome run(std::vector<std::string> arguments) const {
    return ckpt(scratch_.path(), std::move(arguments));
  }
  void save(const Checkpoint& c, const std::string& name) const {
    store::save_as(c, scratch_ / name);
  }
  Checkpoint load(const std::string& name) const { return store::load((scratch_ / name).native()); }
  std::vector<float> values(const Checkpoint& c, const std::string& name) const {
    const std::vector<std::byte> bytes = c.model.find(name)->to_bytes();
    std::vector<float> numbers(bytes.size() / 4);
    std::memcpy(numbers.data(), bytes.data(), bytes.size());
    return numbers;
  }
  const sample::Scratch scratch_;
};

TEST_F(Writers, ConvertKeepsEveryDigestThroughSafetensorsAndBack) {
  Checkpoint c = sample::model(1, 3, 0.25);
  c.optimizer = Value();
  save(c, "a.h5");
  EXPECT_EQ(run({"convert", "a.h5", "b.safetensors"}).code, 0);
  EXPECT_EQ(run({"convert", "b.safetensors", "c.h5"}).code, 0);
  EXPECT_TRUE(content(scratch_ / "a.h5") == content(scratch_ / "c.h5"));
}

TEST_F(Writers, ConvertToPthAndBackGivesTheSameBytes) {
  save(sample::model(1, 3, 0.25), "a.h5");
  EXPECT_EQ(run({"convert", "a.h5", "b.pth"}).code, 0);
  EXPECT_EQ(run({"convert", "b.pth", "c.h5"}).code, 0);
  EXPECT_TRUE(content(scratch_ / "a.h5") == content(scratch_ / "c.h5"))
      << run({"diff", "a.h5", "c.h5"}).out;
}

TEST_F(Writers, ConvertOfPthThroughSafetensorsKeepsEveryDigest) {
  Checkpoint c = sample::model(1, 3, 0.25);
  c.optimizer = Value();
  save(c, "a.h5");
  const std::vector<std::string> chain = {"a.h5", "b.pth", "c.safetensors", "d.pth", "e.h5"};
  const auto digests = [&](const std::string& file) {
    return parse_json(run({"ls", "--digest", "--json", file}).out).at("tensors");
  };
  for (std::size_t i = 1; i < chain.size(); ++i) {
    EXPECT_EQ(run({"convert", chain[i - 1], chain[i]}).code, 0) << chain[i];
    EXPECT_EQ(digests(chain[i]), digests("a.h5")) << chain[i];
  }
  EXPECT_FALSE(digests("a.h5").empty());
}

TEST_F(Writers, ConvertListsWhatWouldBeLost) {
  save(sample::model(1, 3, 0.25), "a.h5");
  Outcome outcome = run({"convert", "a.h5", "b.safetensors"});
  EXPECT_EQ(outcome.code, 13);
  EXPECT_EQ(outcome.err,
            "ckpt convert: unsupported: b.safetensors: this format cannot hold optimizer; --lossy "
            "leaves it out\n");
  EXPECT_FALSE(fs::exists(scratch_ / "b.safetensors"));
  outcome = run({"convert", "a.h5", "b.safetensors", "--lossy", "--json"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(parse_json(outcome.out)["lost"], Json::array({"optimizer"}));
}

TEST_F(Writers, ConvertDoesNotGiveDamageAFreshDigest) {
  Checkpoint c = sample::model(1, 3, 0.25);
  c.model.append("large", sample::floats({4096}, 1));
  save(c, "a.h5");
  std::string bytes = content(scratch_ / "a.h5");
  const float needle = 3333;
  const auto at = bytes.find(std::string(reinterpret_cast<const char*>(&needle), 4));
  ASSERT_NE(at, std::string::npos);
  bytes[at] = static_cast<char>(bytes[at] ^ 1);
  std::ofstream(scratch_ / "a.h5", std::ios::binary) << bytes;
  for (const char* out : {"b.h5", "b.safetensors"}) {
    const Outcome outcome = run({"convert", "a.h5", out, "--lossy"});
    EXPECT_EQ(outcome.code, 12) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("model/large"));
    EXPECT_FALSE(fs::exists(scratch_ / out));
  }
}

TEST_F(Writers, ExtractTakesWeightsAndRecordsTheParent) {
  Checkpoint c = sample::model(1, 3, 0.25);
  c.type = CheckpointType::kDino;
  c.teacher.append("backbone.conv", sample::floats({2}, 10));
  c.teacher.append("head.mlp", sample::floats({2}, 20));
  c.student = c.teacher;
  c.model = StateDict();
  save(c, "dino.h5");
  EXPECT_EQ(run({"extract", "dino.h5", "b.h5", "--take", "backbone"}).code, 0);
  const Checkpoint taken = load("b.h5");
  EXPECT_EQ(taken.type, CheckpointType::kModel);
  EXPECT_EQ(taken.model.size(), 1U);
  EXPECT_EQ(values(taken, "conv"), (std::vector<float>{10, 11}));
  EXPECT_EQ(taken.parents, (std::vector<Parent>{{sample::uuid(1), Relation::kLoaded}}));
  EXPECT_FALSE(taken.resumable());
  EXPECT_EQ(
      run({"extract", "dino.h5", "h.h5", "--take", "student", "--strip-prefix", "head."}).code, 0);
  EXPECT_EQ(values(load("h.h5"), "mlp"), (std::vector<float>{20, 21}));
  const Outcome none = run({"extract", "dino.h5", "x.h5", "--take", "ema"});
  EXPECT_EQ(none.code, 15);
  EXPECT_THAT(none.err, HasSubstr("has no ema; it has teacher, student, backbone, head, model"));
  EXPECT_EQ(run({"extract", "dino.h5", "x.h5", "--take", "weights"}).code, 2);
}

TEST_F(Writers, AverageIsTheMeanInDoublePrecisionRoundedOnce) {
  // In float32, adding in order would give another last bit.
  const std::vector<float> numbers = {16777216.0F, 1.0F, 1.0F};
  for (std::size_t i = 0; i < 3; ++i) {
    Checkpoint c = sample::model(static_cast<int>(i), i + 1, 0);
    c.model.append("w", sample::floats({1}, numbers[i]));
    save(c, "m" + std::to_string(i) + ".h5");
  }
  const Outcome outcome = run({"average", "m0.h5", "m1.h5", "m2.h5", "mean.h5"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  const Checkpoint mean = load("mean.h5");
  EXPECT_EQ(values(mean, "w")[0], static_cast<float>(16777218.0 / 3));
  EXPECT_EQ(values(mean, "fc.weight")[0], 2.0F);
  EXPECT_EQ(mean.parents.size(), 3U);
  EXPECT_FALSE(mean.resumable());
  EXPECT_TRUE(mean.metrics.empty());
}

TEST_F(Writers, AverageTakesTheLastOrNamedEpochsOfARun) {
  const store::RunDirectory run_directory = store::RunDirectory::create(scratch_ / "run");
  for (int i = 1; i <= 4; ++i)
    store::save(sample::model(i, static_cast<std::uint64_t>(i), 0), run_directory.checkpoints());
  EXPECT_EQ(run({"average", "run", "--last", "2", "last.h5"}).code, 0);
  EXPECT_EQ(values(load("last.h5"), "fc.weight")[0], 3.5F);
  EXPECT_EQ(run({"average", "run", "--epochs", "1,3:4", "some.h5"}).code, 0);
  EXPECT_EQ(load("some.h5").parents.size(), 3U);
  EXPECT_EQ(run({"average", "run", "x.h5"}).code, 2);
  EXPECT_EQ(run({"average", "run", "--last", "9", "x.h5"}).code, 10);
  EXPECT_EQ(run({"average", "run", "--epochs", "3-4", "x.h5"}).code, 2);
}

TEST_F(Writers, AverageOfDifferentNetworksIsAMismatch) {
  Checkpoint other = sample::model(2, 1, 0);
  other.model.append("extra", sample::floats({1}, 1));
  save(sample::model(1, 1, 0), "a.h5");
  save(other, "b.h5");
  EXPECT_EQ(run({"average", "a.h5", "b.h5", "x.h5"}).code, 15);
  EXPECT_EQ(run({"average", "a.h5", "x.h5"}).code, 2);
}

}  // namespace
}  // namespace reprise::cli
