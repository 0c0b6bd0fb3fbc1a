// Files of ours in the hands of h5py, h5dump and the safetensors library, and theirs in ours.
#include "ckpt/base/error.h"
#include "ckpt/container/hdf5.h"
#include "ckpt/container/open.h"
#include "ckpt/container/safetensors.h"
#include "ckpt/container/tensor_names.h"
#include "tests/ckpt/container/sample.h"

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <sstream>

namespace reprise::container {
namespace {

class ContainerInterop : public testing::Test {
 protected:
  void SetUp() override {
    if (!have_python()) GTEST_SKIP() << "no Python at " << REPRISE_PYTHON << "; ./run installs it";
  }
  ScratchFolder folder_;
};

// One line a dataset: name, dtype attribute or numpy type, SHA-256 of the bytes in the file.
constexpr std::string_view kHashWithH5py = R"(
import h5py, hashlib, numpy, sys
f = h5py.File(sys.argv[1], 'r')
def visit(name, d):
    if not isinstance(d, h5py.Dataset): return
    t = d.id.get_type()
    out = numpy.zeros(d.shape, dtype='V%d' % t.get_size())
    if d.size: d.id.read(h5py.h5s.ALL, h5py.h5s.ALL, out, t)
    print(name.encode('utf-8', 'surrogateescape').hex(), ','.join(map(str, d.shape)), hashlib.sha256(out.tobytes()).hexdigest())
# visititems shows an object once; tied ones are reached by every name
def walk(group, prefix):
    for key in group:
        item = group[key]
        if isinstance(item, h5py.Group): walk(item, prefix + key + '/')
        else: visit(prefix + key, item)
walk(f, '')
)";

TEST_F(ContainerInterop, H5pyReadsTheSameBytes) {
  write_hdf5(folder_ / "a.h5", rich_document());
  std::istringstream lines(run_python(kHashWithH5py, {(folder_ / "a.h5").string()}));
  std::map<std::string, std::pair<std::string, std::string>> seen;
  for (std::string line; std::getline(lines, line);) {
    const auto first = line.find(' ');
    const auto second = line.find(' ', first + 1);
    seen[from_hex(line.substr(0, first))] = {line.substr(first + 1, second - first - 1),
                                             line.substr(second + 1)};
  }
  const Hdf5Reader reader = Hdf5Reader::open(folder_ / "a.h5");
  for (const TensorEntry& entry : reader.tensors()) {
    ASSERT_TRUE(seen.contains(entry.name)) << entry.name;
    EXPECT_EQ(seen[entry.name].second, entry.sha256.hex()) << entry.name;
    if (entry.shape.size() <= 32) {
      EXPECT_EQ(seen[entry.name].first, fmt::format("{}", fmt::join(entry.shape, ",")))
          << entry.name;
    }
    seen.erase(entry.name);
  }
  EXPECT_EQ(seen["reprise/manifest"].second, sha256(reader.manifest()).hex());
  EXPECT_EQ(seen.size(), 5u) << "only the container's own are left";
}

// The specification is enough to read a file: the script was made from it alone.
TEST_F(ContainerInterop, AReaderMadeFromTheSpecificationAgrees) {
  const std::string script =
      read_file(std::filesystem::path(REPRISE_SOURCE_DIR) / "tests/ckpt/container/read_native.py");
  Document document = small_document();
  Arena& arena = *document.arena;
  document.root.as_dict().append(arena, "large",
                                 arena.tensor(patterned(DType::kUInt8, {(16 << 20) + 5})));
  document.root.as_dict().append(arena, "half", arena.tensor(patterned(DType::kBFloat16, {2, 3})));
  document.root.as_dict().append(arena, "lr", Value::real(0.1));
  write_hdf5(folder_ / "a.h5", document);
  std::string expected;
  for (const auto& [name, tensor] : name_tensors(document)) {
    expected += fmt::format("{} {} {} {}\n", name, reprise::name(tensor.dtype()),
                            fmt::join(tensor.shape(), ","), tensor.digest().hex());
  }
  expected +=
      R"({"version": 5, "type": "model", "model": {"fc.weight": "tensor 0", "fc.bias": "tensor 1", )"
      R"("steps": "tensor 2"}, "large": "tensor 3", "half": "tensor 4", "lr": 0.1})"
      "\n";
  EXPECT_EQ(run_python(script, {(folder_ / "a.h5").string()}), expected);

  write_hdf5(folder_ / "b.h5", rich_document());
  EXPECT_NO_THROW(run_python(script, {(folder_ / "b.h5").string()}));
}

TEST_F(ContainerInterop, H5pySeesNumbersAndAttributes) {
  write_hdf5(folder_ / "a.h5", rich_document());
  const std::string output = run_python(R"(
import h5py, sys
f = h5py.File(sys.argv[1], 'r')
print(f.attrs['version'], f.attrs['type'].decode(), f.attrs['lr'])
print(f['types/float32'].dtype, f['types/complex64'].dtype, f['types/int16'].dtype, f['types/float16'].dtype, f['types/uint64'].dtype)
b = f['types/bfloat16']; print(b.dtype, b.attrs['dtype'].decode())
import numpy
raw = numpy.zeros(b.shape, '<u2'); b.id.read(h5py.h5s.ALL, h5py.h5s.ALL, raw, b.id.get_type())
print((b[()].view('<u4') >> 16 == raw)[~numpy.isnan(b[()])].all())
print(f['views/whole'] == f['views/tied'], f['views/whole'] == f['views/part'])
t = f['reprise/tensors']; print(t.dtype.names)
)",
                                        {(folder_ / "a.h5").string()});
  EXPECT_EQ(output,
            "5 model 0.1\n"
            "float32 complex64 int16 float16 uint64\n"
            "float32 bfloat16\n"
            "True\n"
            "True False\n"
            "('name_at', 'name_length', 'shape_at', 'rank', 'flags', 'offset', 'bytes', "
            "'chunk_at', 'chunks', 'dtype', 'sha256')\n");
}

TEST_F(ContainerInterop, H5dumpIsContent) {
  write_hdf5(folder_ / "a.h5", rich_document());
  EXPECT_EQ(std::system(fmt::format("h5dump -H '{}' > '{}' 2>&1", (folder_ / "a.h5").string(),
                                    (folder_ / "out").string())
                            .c_str()),
            0)
      << read_file(folder_ / "out");
  const std::string output = read_file(folder_ / "out");
  EXPECT_EQ(output.find("unable"), std::string::npos) << output;
  EXPECT_NE(output.find("DATASET \"fc.weight\""), std::string::npos);
  EXPECT_NE(output.find("HARDLINK"), std::string::npos);
}

// As many as fit the group itself, one more, and many.
TEST_F(ContainerInterop, H5pyFindsEachOfManyTensors) {
  for (const int count : {8, 9, 3000}) {
    Document document;
    Arena& arena = *document.arena;
    document.root = arena.dict();
    for (int i = 0; i < count; ++i) {
      document.root.as_dict().append(
          arena, fmt::format("t{}", i),
          arena.tensor(patterned(DType::kInt8, {1}, static_cast<unsigned>(i))));
    }
    write_hdf5(folder_ / "a.h5", document);
    const std::string output = run_python(R"(
import h5py, sys
f = h5py.File(sys.argv[1], 'r'); n = int(sys.argv[2])
print(len(f), all(f['t%d' % i].shape == (1,) for i in range(n)), 'nope' in f)
)",
                                          {(folder_ / "a.h5").string(), std::to_string(count)});
    EXPECT_EQ(output, fmt::format("{} True False\n", count + 1));
  }
}

TEST_F(ContainerInterop, SafetensorsReadsOurs) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  std::map<std::string, std::string> expected;
  for (std::size_t i = 0; i < kDTypeCount; ++i) {
    const auto dtype = static_cast<DType>(i);
    // Types that the library's PyTorch side maps; the others are checked by our own reader.
    if (!safetensors_name(dtype)) continue;
    tensors.emplace_back(name(dtype), patterned(dtype, {3, 5}, static_cast<unsigned>(i)));
    expected[std::string(name(dtype))] = tensors.back().second.digest().hex();
  }
  write_safetensors(folder_ / "a.safetensors", tensors, {{"format", "pt"}});
  const std::string output = run_python(R"(
import hashlib, sys, torch
from safetensors import safe_open
with safe_open(sys.argv[1], framework='pt') as f:
    print(f.metadata())
    for k in sorted(f.keys()):
        t = f.get_tensor(k)
        print(k, str(t.dtype)[6:], tuple(t.shape), hashlib.sha256(t.contiguous().view(torch.uint8).numpy().tobytes()).hexdigest())
)",
                                        {(folder_ / "a.safetensors").string()});
  std::string wanted = "{'format': 'pt'}\n";
  for (const auto& [name, digest] : expected)
    wanted += fmt::format("{} {} (3, 5) {}\n", name, name, digest);
  EXPECT_EQ(output, wanted);
}

TEST_F(ContainerInterop, WeReadSafetensorsOwnFiles) {
  const std::string output = run_python(R"(
import hashlib, sys, torch
from safetensors.torch import save_file
g = torch.Generator().manual_seed(1)
t = {'a.weight': torch.randn(5, 7, generator=g), 'b': torch.arange(6, dtype=torch.int64).reshape(2, 3),
     'c': torch.randn(3, generator=g).to(torch.bfloat16), 'd': torch.tensor(True), 'e': torch.zeros(0, 3),
     'f': torch.randn(9, generator=g).to(torch.float8_e4m3fn)}
save_file(t, sys.argv[1], metadata={'format': 'pt', 'note': 'gr\u00fc\u00df'})
for k, v in t.items(): print(k, hashlib.sha256(v.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest())
)",
                                        {(folder_ / "a.safetensors").string()});
  const Document document = open(folder_ / "a.safetensors");
  EXPECT_EQ(document.container, "safetensors");
  std::istringstream lines(output);
  std::string name, digest;
  int compared = 0;
  for (; lines >> name >> digest; ++compared)
    EXPECT_EQ(tensor_at(document, name).digest().hex(), digest) << name;
  EXPECT_EQ(compared, 6);
  EXPECT_EQ(document.root.as_dict().attributes.as_dict().get("note").as_string(),
            "gr\xc3\xbc\xc3\x9f");
}

}  // namespace
}  // namespace reprise::container
