// Attributes of HDF5 files that h5py wrote, Keras' among them, read without libhdf5.
#include "ckpt/base/error.h"
#include "ckpt/container/canonical.h"
#include "ckpt/container/hdf5_foreign.h"
#include "tests/ckpt/container/sample.h"
#include "tests/cpu_clock.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <cstring>

namespace reprise::container {
namespace {

using ::testing::HasSubstr;

// As Keras 2 saves a model.
constexpr std::string_view kKeras = R"(
import json
f.attrs['backend'] = 'tensorflow'
f.attrs['keras_version'] = '2.15.0'
f.attrs['model_config'] = json.dumps({'class_name': 'Sequential', 'config': {'layers': ['dense'] * 4000}}).encode()
f.attrs['training_config'] = json.dumps({'loss': 'mse'})
g = f.create_group('model_weights')
g.attrs['layer_names'] = np.array([b'dense', b'dense_1'])
for n in ('dense', 'dense_1'):
    layer = g.create_group(n)
    layer.attrs['weight_names'] = [(n + '/kernel:0').encode(), (n + '/bias:0').encode()]
    layer[n + '/kernel:0'] = np.ones((3, 2), 'f4')
    layer[n + '/bias:0'] = np.ones(2, 'f4')
)";

constexpr std::string_view kEveryKind = R"(
a = f.attrs
a['int'] = 7
a['negative'] = np.int8(-3)
a['big'] = np.uint64(2**64 - 1)
a['big endian'] = np.array(-5, '>i2')
a['float'] = 0.1
a['single'] = np.float32(0.5)
a['half'] = np.float16(-1.5)
a['true'] = True
a['flags'] = np.array([True, False])
a['text'] = 'g\u00fcte \u2603'
a['no text'] = ''
a['fixed'] = np.bytes_(b'fixed')
a['bytes'] = np.bytes_(b'\xff\xfe')
a['ints'] = [1, 2, 3]
a['swapped'] = np.array([1.5, -2.5], '>f8')
a['texts'] = ['a', '', 'bcd']
a['fixed texts'] = np.array([b'a', b'bc'])
a['matrix'] = np.arange(6, dtype='>i4').reshape(2, 3)
a['text matrix'] = np.array([['a', 'b'], ['c', 'd']], dtype=h5py.string_dtype())
a['none'] = h5py.Empty('f4')
a['empty'] = np.zeros(0, 'i8')
f['w'] = np.zeros(3, 'f4')
f['w'].attrs['on a tensor'] = 1
f['text'] = 'of a dataset'
f['group/names'] = ['x', 'yz']
f['group'].attrs['on a group'] = 2
)";

class Hdf5Attributes : public testing::Test {
 protected:
  void SetUp() override {
    if (!have_python()) GTEST_SKIP() << "no Python at " << REPRISE_PYTHON << "; ./run installs it";
  }

  // Runs `body` with `f`, an h5py file.
  void write(std::string_view body, std::string_view options = "") const {
    run_python(fmt::format(R"(
import h5py, numpy as np, sys
f = h5py.File(sys.argv[1], 'w'{}{})
{}
f.close()
)",
                           options.empty() ? "" : ", ", options, body),
               {path_.string()});
  }

  Document read() const { return open_foreign_hdf5(path_); }

  void expect_refused(std::string_view word) const {
    try {
      read();
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kCorrupt) << error.what();
      EXPECT_THAT(error.what(), HasSubstr(std::string(word)));
    }
  }

  // Replaces each occurrence of `from`, and says how many there were.
  int replace(std::string_view from, std::string_view to) const {
    std::string bytes = read_file(path_);
    int count = 0;
    for (std::size_t at = 0; (at = bytes.find(from, at)) != std::string::npos; at += to.size()) {
      bytes.replace(at, from.size(), to);
      ++count;
    }
    write_file(path_, bytes);
    return count;
  }

  ScratchFolder folder_;
  std::filesystem::path path_ = folder_ / "a.h5";
};

DictNode& attributes_of(Value value) {
  if (DictNode* dict = value.if_dict()) return dict->attributes.as_dict();
  if (TensorNode* tensor = value.if_tensor()) return tensor->attributes.as_dict();
  return value.as_opaque().state.as_dict();
}

std::string json_of(const DictNode& dict, std::string_view key) {
  const Value* value = dict.find(key);
  return value == nullptr ? "absent" : canonical_json(*value);
}

// In the old format in the object header, in the new one beyond the eighth in a heap.
TEST_F(Hdf5Attributes, EveryPlainKindIsWhatH5pyGives) {
  for (const std::string_view options : {"", "libver='latest'", "track_order=True"}) {
    SCOPED_TRACE(options);
    write(kEveryKind, options);
    const Document document = read();
    const DictNode& a = attributes_of(document.root);
    EXPECT_EQ(a.entries.size(), 21u);
    EXPECT_EQ(json_of(a, "int"), "7");
    EXPECT_EQ(json_of(a, "negative"), "-3");
    EXPECT_EQ(json_of(a, "big"), R"({"int":"18446744073709551615"})");
    EXPECT_EQ(json_of(a, "big endian"), "-5");
    EXPECT_EQ(a.get("float").as_float(), 0.1);
    EXPECT_EQ(a.get("single").as_float(), 0.5);
    EXPECT_EQ(a.get("half").as_float(), -1.5);
    EXPECT_EQ(json_of(a, "true"), "true");
    EXPECT_EQ(json_of(a, "flags"), R"({"list":[true,false]})");
    EXPECT_EQ(a.get("text").as_string(), "g\xc3\xbcte \xe2\x98\x83");
    EXPECT_EQ(json_of(a, "no text"), "\"\"");
    EXPECT_EQ(json_of(a, "fixed"), "\"fixed\"");
    EXPECT_EQ(json_of(a, "bytes"), R"({"bytes":"fffe"})");
    EXPECT_EQ(json_of(a, "ints"), R"({"list":[1,2,3]})");
    EXPECT_EQ(a.get("swapped").as_sequence().items[1].as_float(), -2.5);
    EXPECT_EQ(json_of(a, "texts"), R"({"list":["a","","bcd"]})");
    EXPECT_EQ(json_of(a, "fixed texts"), R"({"list":["a","bc"]})");
    EXPECT_EQ(json_of(a, "none"), "null");
    EXPECT_EQ(json_of(a, "empty"), R"({"list":[]})");
    const RecordNode* matrix = a.get("matrix").if_record(RecordClass::kNumpyArray);
    ASSERT_NE(matrix, nullptr);
    EXPECT_EQ(matrix->fields[0].as_string(), "<i4");
    EXPECT_EQ(load_little<std::int32_t>(matrix->fields[2].as_bytes().data() + 20), 5);
    EXPECT_THAT(json_of(a, "text matrix"), HasSubstr(R"(["a","b","c","d"])"));
    const DictNode& root = document.root.as_dict();
    EXPECT_EQ(json_of(attributes_of(root.get("w")), "on a tensor"), "1");
    EXPECT_EQ(json_of(attributes_of(root.get("group")), "on a group"), "2");
  }
}

TEST_F(Hdf5Attributes, KerasDescriptionOfItsNetworkIsRead) {
  write(kKeras);
  const Document document = read();
  const DictNode& a = attributes_of(document.root);
  EXPECT_EQ(a.get("backend").as_string(), "tensorflow");
  EXPECT_EQ(a.get("keras_version").as_string(), "2.15.0");
  EXPECT_GT(a.get("model_config").as_string().size(), 30'000u);
  EXPECT_TRUE(a.get("model_config").as_string().ends_with("]}}"));
  const Value weights = document.root.as_dict().get("model_weights");
  EXPECT_EQ(json_of(attributes_of(weights), "layer_names"), R"({"list":["dense","dense_1"]})");
  EXPECT_EQ(json_of(attributes_of(weights.as_dict().get("dense_1")), "weight_names"),
            R"({"list":["dense_1/kernel:0","dense_1/bias:0"]})");
}

// Objects over 4 KiB lie beside the heap's blocks, listed in an index of their own.
TEST_F(Hdf5Attributes, HundredsOfThemAndLongOnes) {
  for (const std::string_view options : {"", "libver='latest'"}) {
    SCOPED_TRACE(options);
    write(R"(
for i in range(300): f.attrs['n%03d' % i] = i
for i in range(20): f.attrs['long%d' % i] = np.array([b'%06d' % (i * 1000 + j) for j in range(1000)])
)",
          options);
    const Document document = read();
    const DictNode& a = attributes_of(document.root);
    ASSERT_EQ(a.entries.size(), 320u);
    for (int i = 0; i < 300; ++i) EXPECT_EQ(a.get(fmt::format("n{:03}", i)).as_int(), i);
    for (int i = 0; i < 20; ++i) {
      const auto& items = a.get(fmt::format("long{}", i)).as_sequence().items;
      ASSERT_EQ(items.size(), 1000u);
      EXPECT_EQ(items[999].as_string(), fmt::format("{:06}", i * 1000 + 999));
    }
  }
}

TEST_F(Hdf5Attributes, TypesThatAreNotPlainAreNamedNotGuessed) {
  write(R"(
f['w'] = np.zeros(3)
f.attrs['compound'] = np.zeros(2, [('a', 'i4'), ('b', 'f8')])
f.attrs['complex'] = 1 + 2j
f.attrs['reference'] = f['w'].ref
f.attrs['opaque'] = np.void(b'abcd')
f.attrs.create('sequences', np.array([np.arange(2), np.arange(3)], object), dtype=h5py.vlen_dtype('i4'))
f.attrs.create('choice', 1, dtype=h5py.enum_dtype({'RED': 0, 'GREEN': 1, 'BLUE': 2}))
f['type'] = np.dtype('f4')
f.attrs.create('named', 1.0, dtype=f['type'])
del f['type']
)");
  const Document document = read();
  const DictNode& a = attributes_of(document.root);
  EXPECT_EQ(json_of(a, "compound"),
            R"({"opaque":"hdf5.compound","args":["not read: 2 of 12 bytes"]})");
  for (const auto& [key, name] : {std::pair("complex", "hdf5.compound"),
                                  {"reference", "hdf5.reference"},
                                  {"opaque", "hdf5.opaque"},
                                  {"sequences", "hdf5.variable_length"},
                                  {"choice", "hdf5.enumeration"},
                                  {"named", "hdf5.named_type"}}) {
    ASSERT_NE(a.get(key).if_opaque(), nullptr) << key;
    EXPECT_EQ(a.get(key).as_opaque().name, name);
  }
}

TEST_F(Hdf5Attributes, TextDatasetsAreReadToo) {
  write(kEveryKind);
  const Document document = read();
  EXPECT_EQ(json_of(document.root.as_dict(), "text"), "\"of a dataset\"");
  EXPECT_EQ(json_of(document.root.as_dict().get("group").as_dict(), "names"),
            R"({"list":["x","yz"]})");
}

// Up to 1 MiB in the dataset, where text of variable length takes 16 bytes beside its heap. What is
// longer stays unread and says so.
TEST_F(Hdf5Attributes, TextDatasetsAreReadUpToOneMebibyte) {
  write(R"(
MiB = 1 << 20
f['letter'] = np.array(b'a' * (MiB - 1) + b'z')
f['letter over'] = np.array(b'a' * MiB + b'z')
words = np.array([b'%07d.' % i for i in range(MiB // 8 + 1)])
f['words'] = words[:-1]
f['words over'] = words
for name, more in ('names', 0), ('names over', 1):
    f.create_dataset(name, (MiB // 16 + more,), h5py.string_dtype(), fillvalue='')
    f[name][:] = ['n%d' % (i % 100) for i in range(MiB // 16 + more)]
)");
  const Document document = read();
  const DictNode& root = document.root.as_dict();
  const std::string_view letter = root.get("letter").as_string();
  EXPECT_EQ(letter.size(), std::size_t{1} << 20);
  EXPECT_TRUE(letter.ends_with("az"));
  const auto& words = root.get("words").as_sequence().items;
  ASSERT_EQ(words.size(), std::size_t{1} << 17);
  EXPECT_EQ(words[(1 << 17) - 1].as_string(), "0131071.");
  const auto& names = root.get("names").as_sequence().items;
  ASSERT_EQ(names.size(), std::size_t{1} << 16);
  EXPECT_EQ(names[65535].as_string(), "n35");
  for (const char* over : {"letter over", "words over", "names over"}) {
    ASSERT_NE(root.get(over).if_opaque(), nullptr) << over;
    EXPECT_EQ(root.get(over).as_opaque().name, "hdf5.dataset");
  }
}

TEST_F(Hdf5Attributes, TruncationAtEveryLengthIsTyped) {
  write(kEveryKind);
  const std::string whole = read_file(path_);
  int refused = 0;
  for (std::size_t size = 0; size < whole.size(); size += size < 4096 ? 1 : 37) {
    write_file(path_, whole.substr(0, size));
    try {
      canonical_json(read().root);
    } catch (const Error& error) {
      EXPECT_NE(error.code(), Code::kInternal) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST_F(Hdf5Attributes, EveryFlippedByteEndsInAnErrorOrInValues) {
  for (const std::string_view options : {"", "libver='latest'"}) {
    write(kEveryKind, options);
    const std::string whole = read_file(path_);
    int refused = 0;
    for (std::size_t at = 0; at < whole.size(); ++at) {
      if (whole[at] == 0 && at % 16 != 0) continue;  // mostly what nobody reads
      std::string bytes = whole;
      bytes[at] = static_cast<char>(bytes[at] ^ 0xff);
      write_file(path_, bytes);
      try {
        canonical_json(read().root);
      } catch (const Error& error) {
        EXPECT_NE(error.code(), Code::kInternal) << error.what();
        ++refused;
      }
    }
    EXPECT_GT(refused, 300) << options;
  }
}

// One text of 60 KB, to which every attribute is made to refer: 64 MB of a megabyte.
TEST_F(Hdf5Attributes, TextThatIsGivenOutAgainAndAgainIsRefused) {
  write(R"(
for g in range(10):
    f.create_group('g%d' % g).attrs['texts'] = ['x%05d' % (g * 1000 + i) for i in range(1000)]
f.attrs['long'] = 'y' * 60000
)");
  std::string bytes = read_file(path_);
  // Where the long text's reference lies: its length is in no other.
  const std::uint32_t length = 60000;
  std::string wanted(reinterpret_cast<const char*>(&length), 4);
  std::size_t place = 0;
  for (std::size_t at = 0; (at = bytes.find(wanted, at)) != std::string::npos; ++at) {
    const auto collection =
        load_little<std::uint64_t>(reinterpret_cast<const std::byte*>(bytes.data()) + at + 4);
    if (collection + 4 < bytes.size() && bytes.compare(collection, 4, "GCOL") == 0) place = at;
  }
  ASSERT_NE(place, 0u);
  const std::string reference = bytes.substr(place, 16);
  int changed = 0;
  for (std::size_t at = 0; at + 16 < bytes.size(); at += 8) {
    const std::byte* p = reinterpret_cast<const std::byte*>(bytes.data()) + at;
    if (load_little<std::uint32_t>(p) != 6) continue;
    const auto collection = load_little<std::uint64_t>(p + 4);
    if (collection + 4 >= bytes.size() || bytes.compare(collection, 4, "GCOL") != 0) continue;
    bytes.replace(at, 16, reference);
    ++changed;
  }
  EXPECT_EQ(changed, 10'000);
  write_file(path_, bytes);
  expect_refused("text that occurs again and again");
}

TEST_F(Hdf5Attributes, LiesAboutSizesNameTheAttribute) {
  write("f.attrs['liar'] = np.arange(5, dtype='i8')");
  // The extent in its dataspace, behind version 1, rank 1.
  const std::string five("\x05\0\0\0\0\0\0\0", 8);
  const std::string many("\0\0\0\0\0\0\0\x40", 8);
  ASSERT_GT(replace(five, many), 0);
  expect_refused("attribute liar");
}

TEST_F(Hdf5Attributes, ContinuationsThatReferToThemselvesEnd) {
  write("for i in range(20): f.attrs['attribute number %d' % i] = 'text %d' % i");
  std::string bytes = read_file(path_);
  // A continuation message of a version 1 header: type 16, size 16, then address and length.
  const std::string head("\x10\0\x10\0\0\0\0\0", 8);
  std::size_t found = 0;
  for (std::size_t at = 0; (at = bytes.find(head, at)) != std::string::npos; at += 8) {
    const std::uint64_t own = at;
    const std::uint64_t length = 24;
    std::memcpy(bytes.data() + at + 8, &own, 8);
    std::memcpy(bytes.data() + at + 16, &length, 8);
    ++found;
  }
  ASSERT_GT(found, 0u);
  write_file(path_, bytes);
  const auto start = CpuClock::now();
  expect_refused("without end");
  EXPECT_LT(CpuClock::now() - start, std::chrono::seconds(1));
}

}  // namespace
}  // namespace reprise::container
