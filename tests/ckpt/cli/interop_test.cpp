// Files by and for the real safetensors, PyTorch and h5py.
#include "ckpt/store/save.h"
#include "tests/ckpt/cli/ckpt_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace reprise::cli {
namespace {

namespace fs = std::filesystem;

class Interop : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(REPRISE_PYTHON)) GTEST_SKIP() << "no Python peers at " REPRISE_PYTHON;
  }
  Outcome run(std::vector<std::string> arguments) const {
    return ckpt(scratch_.path(), std::move(arguments));
  }
  // What the script printed; the test fails when it does.
  std::string python(const std::string& script) const {
    std::ofstream(scratch_ / "peer.py") << script;
    const std::string command =
        "cd '" + scratch_.path().native() + "' && " REPRISE_PYTHON " peer.py > peer.out 2>&1";
    EXPECT_EQ(std::system(command.c_str()), 0) << content(scratch_ / "peer.out");
    return content(scratch_ / "peer.out");
  }
  const sample::Scratch scratch_;
};

TEST_F(Interop, SafetensorsReadsWhatConvertWrites) {
  Checkpoint c = sample::model(1, 3, 0.25);
  c.optimizer = Value();
  const std::vector<std::uint16_t> bf16 = {0x3F80, 0x4000, 0xFF80};
  c.model.append("bf16", Tensor::copy_of(DType::kBFloat16, {3}, std::as_bytes(std::span(bf16))));
  const Tensor base = sample::floats({2, 3}, 1);
  c.model.append("transposed", Tensor::make(DType::kFloat32, {3, 2}, {1, 3}, 0, base.storage()));
  store::save_as(c, scratch_ / "a.h5");
  ASSERT_EQ(run({"convert", "a.h5", "a.safetensors"}).code, 0);
  const std::string seen = python(R"(
import hashlib, torch
from safetensors import safe_open
with safe_open("a.safetensors", "pt") as f:
    assert f.metadata()["format"] == "pt"
    assert f.metadata()["reprise.arch"] == "tiny_net"
    for name in sorted(f.keys()):
        t = f.get_tensor(name)
        print(name, hashlib.sha256(t.contiguous().view(torch.uint8).numpy().tobytes()).hexdigest())
)");
  std::string expected;
  for (const char* name : {"bf16", "fc.bias", "fc.weight", "transposed"}) {
    expected += std::string(name) + " " + c.model.find(name)->digest().hex() + "\n";
  }
  EXPECT_EQ(seen, expected);
}

TEST_F(Interop, TorchLoadsWhatConvertWrites) {
  const Checkpoint c = sample::model(1, 3, 0.25);
  store::save_as(c, scratch_ / "a.h5");
  ASSERT_EQ(run({"convert", "a.h5", "a.pth"}).code, 0);
  EXPECT_EQ(python(R"(
import hashlib, json, torch
c = torch.load("a.pth", weights_only=True)
assert c["version"] == 5 and c["type"] == "model" and c["epoch"] == 3
assert json.loads(c["config"])["lr"] == 0.001
assert list(c["model"]) == ["fc.weight", "fc.bias"]
assert c["optimizer"]["param_groups"][0]["betas"] == (0.9, 0.999)
print(hashlib.sha256(c["model"]["fc.weight"].numpy().tobytes()).hexdigest())
)"),
            c.model.find("fc.weight")->digest().hex() + "\n");
}

TEST_F(Interop, LsDigestsAreThoseOfH5py) {
  store::save_as(sample::model(1, 3, 0.25), scratch_ / "a.h5");
  const Json listed = parse_json(run({"ls", "--json", "--digest", "a.h5"}).out);
  const Json seen = parse_json(python(R"(
import h5py, hashlib, json
out = {}
with h5py.File("a.h5") as f:
    f.visititems(lambda n, d: out.__setitem__(n, hashlib.sha256(d[()].tobytes()).hexdigest()) if isinstance(d, h5py.Dataset) else None)
print(json.dumps(out))
)"));
  EXPECT_EQ(listed["tensors"].size(), 8U);
  for (const Json& row : listed["tensors"]) {
    EXPECT_EQ(seen[row["name"].get<std::string>()], row["sha256"]) << row["name"];
  }
}

TEST_F(Interop, StatsAndAverageEqualNumpys) {
  python(R"(
import torch
from safetensors.torch import save_file
torch.manual_seed(3)
for i in range(3):
    d = {"f32": torch.randn(1000, 33), "f16": torch.randn(777).half(), "bf16": torch.randn(777).bfloat16(),
         "f64": torch.randn(55, dtype=torch.float64), "i64": torch.randint(-9, 9, (40,)), "u8": torch.arange(7, dtype=torch.uint8) * i}
    save_file(d, f"w{i}.safetensors")
)");
  ASSERT_EQ(run({"average", "w0.safetensors", "w1.safetensors", "w2.safetensors",
                 "mean.safetensors", "--lossy"})
                .code,
            0);
  const Outcome stats = run({"stats", "w0.safetensors", "--json"});
  ASSERT_EQ(stats.code, 0);
  std::ofstream(scratch_ / "stats.json") << stats.out;
  python(R"(
import json, torch, numpy as np
from safetensors.torch import load_file
w = [load_file(f"w{i}.safetensors") for i in range(3)]
mean = load_file("mean.safetensors")
assert set(mean) == set(w[0]), mean.keys()
for name, got in mean.items():
    total = w[0][name].double()
    for other in w[1:]: total = total + other[name].double()
    want = total / 3
    if got.is_floating_point():
        # torch rounds float64 to 16 bits by way of float32; ours is rounded once.
        assert ((got.double() - want).abs() <= (want.to(got.dtype).double() - want).abs()).all(), name
    else:
        assert torch.equal(got, want.round().to(got.dtype)), name
for row in json.load(open("stats.json"))["tensors"]:
    t = w[0][row["name"].removeprefix("model/")].double().numpy()
    assert row["min"] == t.min() and row["max"] == t.max(), row
    assert np.isclose(row["mean"], t.mean(), rtol=1e-12, atol=1e-15), row
    assert np.isclose(row["std"], t.std(), rtol=1e-12), row
)");
}

TEST_F(Interop, DiffMeasuresWhatTorchMeasures) {
  python(R"(
import torch
from safetensors.torch import save_file
torch.manual_seed(4)
a = {"f32": torch.randn(100, 20), "bf16": torch.randn(300).bfloat16()}
b = {k: v + (torch.rand(v.shape) < 0.1) * torch.randn(v.shape).to(v.dtype) for k, v in a.items()}
save_file(a, "a.safetensors"); save_file(b, "b.safetensors")
)");
  const Outcome diff = run({"diff", "a.safetensors", "b.safetensors", "--tensors", "--json"});
  ASSERT_EQ(diff.code, 1);
  std::ofstream(scratch_ / "diff.json") << diff.out;
  python(R"(
import json, torch
from safetensors.torch import load_file
a, b = load_file("a.safetensors"), load_file("b.safetensors")
def ordered(t):
    bits = t.view(torch.int32 if t.dtype == torch.float32 else torch.int16).long()
    sign = 1 << (31 if t.dtype == torch.float32 else 15)
    bits = bits & (2 * sign - 1)
    return torch.where(bits >= sign, -(bits - sign), bits)
for row in json.load(open("diff.json"))["tensors"]:
    name = row["name"].removeprefix("model/")
    x, y = a[name], b[name]
    d = (x.double() - y.double()).abs()
    assert row["max_abs"] == d.max().item(), row
    assert row["differing"] == (x != y).sum().item(), row
    assert row["first_index"] == (x != y).nonzero()[0].tolist(), row
    assert row["max_ulp"] == (ordered(x) - ordered(y)).abs().max().item(), row
    rel = (d / torch.maximum(x.double().abs(), y.double().abs()))
    assert row["max_rel"] == rel.max().item(), row
)");
}

}  // namespace
}  // namespace reprise::cli
