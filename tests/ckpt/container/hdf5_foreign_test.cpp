// HDF5 files that h5py wrote, read without libhdf5.
#include "ckpt/container/hdf5_foreign.h"

#include "ckpt/base/error.h"
#include "ckpt/container/open.h"
#include "ckpt/container/tensor_names.h"
#include "tests/ckpt/container/sample.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <sstream>

namespace reprise::container {
namespace {

class Hdf5Foreign : public testing::Test {
 protected:
  void SetUp() override {
    if (!have_python()) GTEST_SKIP() << "no Python at " << REPRISE_PYTHON << "; ./run installs it";
  }

  // Runs `body` with `f`, an h5py file, and prints a digest for each numeric dataset.
  std::string write(std::string_view body, std::string_view options = "") const {
    return run_python(fmt::format(R"(
import h5py, hashlib, numpy as np, os, sys
f = h5py.File(sys.argv[1], 'w'{}{})
rng = np.random.default_rng(1)
{}
f.close()
f = h5py.File(sys.argv[1], 'r')
def walk(group, prefix):
    for key in group:
        if not isinstance(group.get(key, getlink=True), h5py.HardLink): continue
        item = group[key]
        if isinstance(item, h5py.Group): walk(item, prefix + key + '/')
        elif item.dtype.kind in 'iufb':
            v = np.ascontiguousarray(item[()])
            print(prefix + key, hashlib.sha256(v.astype(v.dtype.newbyteorder('<')).tobytes()).hexdigest())
walk(f, '')
)",
                                  options.empty() ? "" : ", ", options, body),
                      {path_.string()});
  }

  int expect_same(const std::string& digests) const {
    const Document document = open(path_);
    EXPECT_EQ(document.container, "hdf5-foreign");
    std::istringstream lines(digests);
    std::map<std::string, Tensor> tensors;
    for (const NamedTensor& named : name_tensors(document)) tensors[named.name] = named.tensor;
    int compared = 0;
    for (std::string name, digest; lines >> name >> digest; ++compared) {
      EXPECT_EQ(tensors[name].digest().hex(), digest) << name;
    }
    return compared;
  }

  void expect_refused(std::string_view body, std::string_view word,
                      std::string_view options = "") const {
    write(body, options);
    try {
      open(path_);
      ADD_FAILURE() << "accepted: " << body;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kUnsupported) << error.what();
      EXPECT_NE(std::string_view(error.what()).find(word), std::string_view::npos) << error.what();
    }
  }

  ScratchFolder folder_;
  std::filesystem::path path_ = folder_ / "a.h5";
};

constexpr std::string_view kEveryKind = R"(
f['dense/dense/kernel:0'] = rng.standard_normal((7, 5)).astype('f4')
f['dense/dense/bias:0'] = rng.standard_normal(5)
f['half'] = rng.standard_normal((3, 3)).astype('f2')
f['big'] = rng.standard_normal((3, 4)).astype('>f8')
f['counts'] = np.arange(6, dtype='>i4').reshape(2, 3)
f['flags'] = np.array([True, False, True])
f['scalar'] = np.int64(7)
f['empty'] = np.zeros((0, 3), 'f4')
f['bytes'] = np.arange(200, dtype='u1')
f.create_dataset('plain', data=rng.standard_normal((30, 17)), chunks=(8, 5))
f.create_dataset('gzip', data=np.arange(3000).reshape(100, 30), chunks=(32, 7), compression='gzip')
f.create_dataset('shuffled', data=rng.standard_normal((50, 3, 9)).astype('f4'), chunks=(20, 2, 9), compression='gzip', shuffle=True)
f.create_dataset('summed', data=rng.standard_normal((40, 9)), chunks=(16, 9), compression='gzip', shuffle=True, fletcher32=True)
f.create_dataset('many', data=np.arange(20000, dtype='i2'), chunks=(50,))
f.create_dataset('grows', data=np.arange(10.), maxshape=(None,))
f['again'] = f['half']
)";

TEST_F(Hdf5Foreign, EveryKindOfDatasetComesBack) {
  EXPECT_EQ(expect_same(write(kEveryKind)), 16);
  const Document document = open(path_);
  EXPECT_EQ(tensor_at(document, "flags").dtype(), DType::kBool);
  EXPECT_EQ(tensor_at(document, "dense/dense/kernel:0").shape(), (Shape{7, 5}));
  EXPECT_EQ(document.root.as_dict().get("again").identity(),
            document.root.as_dict().get("half").identity());
}

TEST_F(Hdf5Foreign, GroupsOfEverySize) {
  for (const std::string_view options : {"", "libver='latest'", "userblock_size=1024"}) {
    for (const int count : {8, 9, 3000}) {
      const std::string body = fmt::format(
          "for i in range({}): f['layers/block%d.weight' % i] = np.full(3, i, 'f4')", count);
      EXPECT_EQ(expect_same(write(body, options)), count) << options;
    }
  }
}

TEST_F(Hdf5Foreign, TheNewestFormatWithContiguousData) {
  EXPECT_EQ(expect_same(write("f['a/b/c'] = np.arange(5.)\nf['x'] = np.arange(6, dtype='i4')",
                              "libver='latest'")),
            2);
}

TEST_F(Hdf5Foreign, WhatIsNoNumberIsShownNotGuessed) {
  write(R"(
f['pairs'] = np.zeros(3, [('a', 'i4'), ('b', 'f8')])
f.create_dataset('texts', data=[b'a', b'bc'], chunks=(1,))
f['w'] = np.zeros(3))");
  const Document document = open(path_);
  EXPECT_EQ(document.root.as_dict().get("pairs").as_opaque().name, "hdf5.compound");
  EXPECT_EQ(document.root.as_dict().get("texts").as_opaque().name, "hdf5.dataset");
  EXPECT_TRUE(document.root.as_dict().get("w").is_tensor());
}

TEST_F(Hdf5Foreign, WhatLeadsOutOfTheFileIsRefused) {
  expect_refused("f['w'] = h5py.ExternalLink('/etc/passwd', '/x')", "external link",
                 "libver='latest'");
  expect_refused("f['w'] = h5py.ExternalLink('/etc/passwd', '/x')", "external link");
  expect_refused("f['v'] = np.zeros(3); f['w'] = h5py.SoftLink('/v')", "soft link");
  expect_refused("f['v'] = np.zeros(3); f['w'] = h5py.SoftLink('/v')", "soft link",
                 "libver='latest'");
  expect_refused(R"(
v = h5py.VirtualLayout((4,), 'f4'); v[:] = h5py.VirtualSource('/tmp/other.h5', 'x', (4,))
f.create_virtual_dataset('w', v))",
                 "", "libver='latest'");
  expect_refused(
      "f.create_dataset('w', (4,), 'f4', external=[(sys.argv[1] + '.raw', 0, 16)])[:] = 1",
      "other files");
  std::filesystem::remove(path_.string() + ".raw");
}

TEST_F(Hdf5Foreign, OtherFiltersAreRefusedByNumber) {
  expect_refused("f.create_dataset('w', data=np.zeros(100), chunks=(10,), compression='lzf')",
                 "filter 32000");
}

// Without digests a flipped value passes; nothing may crash, hang or read elsewhere.
TEST_F(Hdf5Foreign, DamageEndsInAnErrorOrInValues) {
  for (const std::string_view options : {"", "libver='latest'"}) {
    write(options.empty() ? kEveryKind
                          : std::string_view("for i in range(40): f['g/w%d' % i] = np.arange(4.)"),
          options);
    const std::string whole = read_file(path_);
    std::uint32_t random = 7;
    int refused = 0;
    for (int round = 0; round < 3000; ++round) {
      std::string bytes = whole;
      random = random * 1664525u + 1013904223u;
      if (round % 4 == 0) {
        bytes.resize(random % whole.size());
      } else {
        bytes[random % whole.size()] = static_cast<char>(random >> 24);
      }
      write_file(path_, bytes);
      try {
        const Document document = open_foreign_hdf5(path_);
        for (const NamedTensor& named : name_tensors(document)) named.tensor.digest();
      } catch (const Error&) {
        ++refused;
      }
    }
    EXPECT_GT(refused, 700);
  }
}

}  // namespace
}  // namespace reprise::container
