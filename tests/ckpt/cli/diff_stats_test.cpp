#include "ckpt/store/save.h"
#include "tests/ckpt/cli/ckpt_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace reprise::cli {
namespace {

using testing::HasSubstr;

class DiffStats : public testing::Test {
 protected:
  void save(const Checkpoint& c, const std::string& name) const {
    store::save_as(c, scratch_ / name);
  }
  Outcome run(std::vector<std::string> arguments) const {
    return ckpt(scratch_.path(), std::move(arguments));
  }
  static Checkpoint with(std::vector<float> values) {
    Checkpoint c = sample::model(1, 1, 0.5);
    c.optimizer = Value();
    c.model = StateDict();
    c.model.append("w", Tensor::copy_of(DType::kFloat32, {2, 2}, std::as_bytes(std::span(values))));
    return c;
  }
  const sample::Scratch scratch_;
};

TEST_F(DiffStats, EqualFilesAreEqual) {
  save(with({1, 2, 3, 4}), "a.h5");
  save(with({1, 2, 3, 4}), "b.h5");
  const Outcome outcome = run({"diff", "a.h5", "b.h5"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.out,
            "1 tensors equal, 0 within the tolerance, 0 changed, 0 only in A, 0 only in B; 0 "
            "fields differ\n");
}

// Forty lists that each hold the one below twice are 2^40 fields.
TEST_F(DiffStats, FieldsThatASmallFileSharesAreBounded) {
  Checkpoint c = with({1, 2, 3, 4});
  Value value = c.arena->list();
  for (int i = 0; i < 40; ++i) {
    const Value pair[] = {value, value};
    value = c.arena->list(pair);
  }
  const Value unmapped = c.arena->dict();
  unmapped.as_dict().append(*c.arena, "shared", value);
  c.unmapped = unmapped;
  save(c, "a.h5");
  const Outcome outcome = run({"diff", "a.h5", "a.h5"});
  EXPECT_EQ(outcome.code, 13);
  EXPECT_THAT(outcome.err, HasSubstr("--tensors leaves them out"));
  EXPECT_EQ(run({"diff", "a.h5", "a.h5", "--tensors"}).code, 0);
}

TEST_F(DiffStats, ChangedTensorIsMeasured) {
  save(with({1, 2, 3, 4}), "a.h5");
  save(with({1, std::nextafter(2.0F, 3.0F), 3, 5}), "b.h5");
  const Outcome outcome = run({"diff", "a.h5", "b.h5", "--json"});
  EXPECT_EQ(outcome.code, 1);
  const Json row = parse_json(outcome.out)["tensors"][0];
  EXPECT_EQ(row["name"], "model/w");
  EXPECT_EQ(row["status"], "changed");
  EXPECT_EQ(row["differing"], 2);
  EXPECT_EQ(row["max_abs"], 1.0);
  EXPECT_EQ(row["max_rel"], 0.2);
  EXPECT_EQ(row["first_index"], Json::array({0, 1}));
  EXPECT_EQ(row["max_ulp"], 1 << 21);  // 4.0 to 5.0
  EXPECT_THAT(run({"diff", "a.h5", "b.h5"}).out,
              HasSubstr("tensor            differing  max abs  max rel        ULP  first at\n"
                        "model/w  changed          2        1      0.2  2,097,152  [0, 1]\n"));
}

TEST_F(DiffStats, ToleranceIsInclusive) {
  save(with({1, 2, 3, 4}), "a.h5");
  save(with({1, 2, 3, 5}), "b.h5");
  EXPECT_EQ(run({"diff", "a.h5", "b.h5", "--tolerance", "1"}).code, 0);
  EXPECT_EQ(run({"diff", "a.h5", "b.h5", "--tolerance", "0.99"}).code, 1);
  EXPECT_EQ(run({"diff", "a.h5", "b.h5", "--tolerance", "-1"}).code, 2);
  EXPECT_EQ(run({"diff", "a.h5", "b.h5", "--tolerance", "nan"}).code, 2);
}

TEST_F(DiffStats, NanAgainstANumberIsNeverWithinATolerance) {
  save(with({1, 2, 3, 4}), "a.h5");
  save(with({1, 2, 3, std::numeric_limits<float>::quiet_NaN()}), "b.h5");
  const Outcome outcome = run({"diff", "a.h5", "b.h5", "--tolerance", "1e30", "--json"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(parse_json(outcome.out)["tensors"][0]["max_abs"], "inf");
}

TEST_F(DiffStats, TensorsOfOneSideAndOtherShapesAreListed) {
  Checkpoint a = with({1, 2, 3, 4});
  Checkpoint b = with({1, 2, 3, 4});
  a.model.append("only.a", sample::floats({1}, 1));
  b.model.append("only.b", sample::floats({1}, 1));
  a.model.append("shape", sample::floats({2, 3}, 1));
  b.model.append("shape", sample::floats({3, 2}, 1));
  save(a, "a.h5");
  save(b, "b.h5");
  const Outcome outcome = run({"diff", "a.h5", "b.h5"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.out, HasSubstr("model/only.a  only-a"));
  EXPECT_THAT(outcome.out, HasSubstr("model/only.b  only-b"));
  EXPECT_THAT(outcome.out, HasSubstr("shape [2, 3] and [3, 2]"));
}

TEST_F(DiffStats, FieldsDifferByName) {
  Checkpoint b = with({1, 2, 3, 4});
  b.config["lr"] = 0.5;
  b.uuid = sample::uuid(2);
  save(with({1, 2, 3, 4}), "a.h5");
  save(b, "b.h5");
  const Outcome outcome = run({"diff", "a.h5", "b.h5", "--json"});
  EXPECT_EQ(outcome.code, 1);
  const Json json = parse_json(outcome.out);
  ASSERT_EQ(json["fields"].size(), 2U);
  EXPECT_EQ(json["fields"][0]["field"], "config/lr");
  EXPECT_EQ(json["fields"][0]["a"], 0.001);
  EXPECT_EQ(json["fields"][0]["b"], 0.5);
  EXPECT_EQ(json["fields"][1]["field"], "uuid");
  EXPECT_EQ(run({"diff", "a.h5", "b.h5", "--tensors"}).code, 0);
}

TEST_F(DiffStats, FormatsAreComparedByContent) {
  save(with({1, 2, 3, 4}), "a.h5");
  save(with({1, 2, 3, 4}), "b.safetensors");
  EXPECT_EQ(run({"diff", "a.h5", "b.safetensors"}).code, 0);
}

TEST_F(DiffStats, StatsAreThoseOfTheFiniteValues) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  Checkpoint c = with({1, 2, 3, 6});
  const std::vector<float> special = {nan, inf, -inf, 5};
  c.model.append("special",
                 Tensor::copy_of(DType::kFloat32, {4}, std::as_bytes(std::span(special))));
  c.model.append("empty", Tensor::copy_of(DType::kFloat32, {0}, {}));
  save(c, "a.h5");
  const Outcome outcome = run({"stats", "a.h5", "--json"});
  EXPECT_EQ(outcome.code, 0);
  const Json rows = parse_json(outcome.out)["tensors"];
  EXPECT_EQ(rows[0]["min"], 1.0);
  EXPECT_EQ(rows[0]["max"], 6.0);
  EXPECT_EQ(rows[0]["mean"], 3.0);
  EXPECT_DOUBLE_EQ(rows[0]["std"].get<double>(), std::sqrt(3.5));
  EXPECT_EQ(rows[1]["nan"], 1);
  EXPECT_EQ(rows[1]["inf"], 2);
  EXPECT_EQ(rows[1]["mean"], 5.0);
  EXPECT_EQ(rows[2]["mean"], nullptr);
  EXPECT_THAT(run({"stats", "a.h5"}).out,
              HasSubstr("model/special  float32  [4]       5    5     5      0    1    2\n"));
}

TEST_F(DiffStats, StatsPlotIsAPng) {
  save(with({1, 2, 3, 6}), "a.h5");
  EXPECT_EQ(run({"stats", "a.h5", "--plot", "a.gif"}).code, 2);
  const Outcome outcome = run({"stats", "a.h5", "--plot", "a.png"});
  if (outcome.code == 13) {
    EXPECT_THAT(outcome.err, HasSubstr("install it"));
    GTEST_SKIP() << "no gnuplot here";
  }
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(content(scratch_ / "a.png").starts_with("\x89PNG\r\n"));
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& item : std::filesystem::directory_iterator(scratch_.path()))
    ++files;
  EXPECT_EQ(files, 2U);  // no script or log is left behind
}

}  // namespace
}  // namespace reprise::cli
