// Strided views and lazy bits against what PyTorch makes of the same storage.
#include "ckpt/state/tensor.h"

#include "ckpt/base/file.h"
#include "tests/ckpt/store/sample_checkpoint.h"

#include <gtest/gtest.h>

namespace reprise {
namespace {

struct View {
  DType dtype;
  const char* torch;
  Shape shape;
  Shape strides;
  std::int64_t offset;
  bool conjugated;
  bool negated;
};

TEST(StridedInterop, ViewsReadAsTorchReadsThem) {
  if (!std::filesystem::exists(REPRISE_PYTHON)) GTEST_SKIP() << "no PyTorch at " REPRISE_PYTHON;
  const std::vector<View> views = {
      {DType::kFloat32, "float32", {5, 7}, {1, 5}, 3, false, false},
      {DType::kFloat32, "float32", {2, 3, 4}, {1, 20, 5}, 7, false, true},
      {DType::kFloat64, "float64", {3, 3}, {0, 2}, 1, false, true},
      {DType::kInt16, "int16", {4, 1, 6}, {12, 99, 2}, 5, false, false},
      {DType::kUInt8, "uint8", {0, 4}, {4, 1}, 0, false, false},
      {DType::kBFloat16, "bfloat16", {6, 4}, {1, 6}, 2, false, true},
      {DType::kComplex64, "complex64", {3, 4}, {1, 3}, 1, true, false},
      {DType::kComplex64, "complex64", {3, 4}, {1, 3}, 1, true, true},
      {DType::kComplex128, "complex128", {2, 3}, {3, 1}, 2, true, false},
      {DType::kFloat16, "float16", {}, {}, 11, false, false},
  };
  const sample::Scratch folder;
  std::string bytes;
  for (unsigned i = 0; i < 1024; ++i) bytes += static_cast<char>(i * 37 + i / 5);
  write_text(folder / "storage", bytes);
  std::string script =
      "import hashlib, torch\n"
      "raw = torch.frombuffer(bytearray(open('storage', 'rb').read()), dtype=torch.uint8)\n"
      "def show(dtype, shape, strides, offset, conj, neg):\n"
      "    t = raw.view(dtype).as_strided(shape, strides, offset)\n"
      "    if conj: t = t.conj()\n"
      "    if neg: t = torch._neg_view(t)\n"
      "    t = t.resolve_conj().resolve_neg().contiguous().reshape(-1)\n"
      "    print(hashlib.sha256(t.view(torch.uint8).numpy().tobytes() if t.numel() else "
      "b'').hexdigest())\n";
  std::string expected;
  const auto list = [](const Shape& shape) {
    std::string text = "[";
    for (const std::int64_t extent : shape) text += std::to_string(extent) + ",";
    return text + "]";
  };
  for (const View& v : views) {
    script += std::string("show(torch.") + v.torch + ", " + list(v.shape) + ", " + list(v.strides) +
              ", " + std::to_string(v.offset) + ", " + (v.conjugated ? "True" : "False") + ", " +
              (v.negated ? "True" : "False") + ")\n";
    const Tensor tensor =
        Tensor::make(v.dtype, v.shape, v.strides, v.offset,
                     owned_storage({as_bytes(bytes).begin(), as_bytes(bytes).end()}))
            .with_lazy_bits(v.conjugated, v.negated);
    expected += tensor.digest().hex() + "\n";
  }
  write_text(folder / "peer.py", script);
  const std::string command =
      "cd '" + folder.path().native() + "' && " REPRISE_PYTHON " peer.py > out 2> err";
  ASSERT_EQ(std::system(command.c_str()), 0) << read_text(folder / "err");
  EXPECT_EQ(read_text(folder / "out"), expected);
}

}  // namespace
}  // namespace reprise
