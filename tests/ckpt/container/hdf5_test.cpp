#include "ckpt/container/hdf5.h"

#include "ckpt/base/error.h"
#include "ckpt/container/hdf5_content.h"
#include "ckpt/container/hdf5_deep.h"
#include "ckpt/container/manifest.h"
#include "ckpt/container/open.h"
#include "tests/ckpt/container/sample.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <string>

namespace reprise::container {
namespace {

void expect_same(const Document& a, const Document& b) {
  const EncodedDocument x = encode_manifest(a.root);
  const EncodedDocument y = encode_manifest(b.root);
  EXPECT_EQ(x.json, y.json);
  ASSERT_EQ(x.tensors.size(), y.tensors.size());
  for (std::size_t i = 0; i < x.tensors.size(); ++i) {
    EXPECT_EQ(x.tensors[i].name, y.tensors[i].name);
    EXPECT_EQ(x.tensors[i].tensor.dtype(), y.tensors[i].tensor.dtype());
    EXPECT_EQ(x.tensors[i].tensor.shape(), y.tensors[i].tensor.shape());
    EXPECT_EQ(x.tensors[i].tensor.digest(), y.tensors[i].tensor.digest()) << x.tensors[i].name;
  }
}

void expect_whole(const std::filesystem::path& path) {
  const VerifyReport report = verify(path, {.deep = true});
  for (const Problem& problem : report.problems) ADD_FAILURE() << problem.message;
}

TEST(Hdf5, EverythingComesBack) {
  const ScratchFolder folder;
  const Document document = rich_document();
  const WriteReport report = write_hdf5(folder / "a.h5", document);
  EXPECT_EQ(report.file_bytes, std::filesystem::file_size(folder / "a.h5"));
  for (const Verify verify : {Verify::kNone, Verify::kTouched, Verify::kAll}) {
    expect_same(document, Hdf5Reader::open(folder / "a.h5").document(verify));
  }
  expect_whole(folder / "a.h5");
}

// The bar of `ckpt verify --deep` is for twice the file: our pass and libhdf5's.
TEST(Hdf5, DeepVerificationTellsOfBothPassesWhileTheyGo) {
  const ScratchFolder folder;
  Document document;
  Arena& arena = *document.arena;
  const Value model = arena.dict(DictClass::kOrderedDict);
  const Value large = arena.tensor(patterned(DType::kFloat32, {6, 1024, 1024}, 1));
  model.as_dict().append(arena, "large", large);
  for (int i = 0; i < 50; ++i) model.as_dict().append(arena, "tied" + std::to_string(i), large);
  model.as_dict().append(arena, "small", arena.tensor(patterned(DType::kFloat32, {3}, 2)));
  document.root = arena.dict();
  document.root.as_dict().append(arena, "model", model);
  write_hdf5(folder / "a.h5", document);
  const std::uint64_t file_bytes = std::filesystem::file_size(folder / "a.h5");

  std::mutex mutex;
  std::uint64_t told = 0, pieces = 0, largest = 0;
  const auto on_bytes = [&](std::uint64_t bytes) {
    const std::lock_guard lock(mutex);
    told += bytes;
    largest = std::max(largest, bytes);
    ++pieces;
  };
  for (const bool deep : {false, true}) {
    told = pieces = largest = 0;
    EXPECT_TRUE(verify(folder / "a.h5", {.jobs = 2, .deep = deep, .on_bytes = on_bytes}).ok());
    const std::uint64_t expected = deep ? 2 * file_bytes : file_bytes;
    EXPECT_LE(told, expected);
    EXPECT_GT(told, expected - expected / 50);
    EXPECT_GT(pieces, deep ? 6u : 1u);
    EXPECT_LE(largest, 16u << 20);
  }
}

TEST(Hdf5, TheTableNamesWhatThereIs) {
  const ScratchFolder folder;
  const Document document = rich_document();
  write_hdf5(folder / "a.h5", document);
  const Hdf5Reader reader = Hdf5Reader::open(folder / "a.h5");
  const auto named = name_tensors(document);
  ASSERT_EQ(reader.tensors().size(), named.size());
  for (std::size_t i = 0; i < named.size(); ++i) {
    const TensorEntry& entry = reader.tensors()[i];
    EXPECT_EQ(entry.name, named[i].name);
    EXPECT_EQ(entry.dtype, named[i].tensor.dtype());
    EXPECT_EQ(entry.shape, named[i].tensor.shape());
    EXPECT_EQ(entry.sha256, named[i].tensor.digest());
  }
  EXPECT_EQ(reader.find("model/fc.bias")->size_bytes, 16u);
  EXPECT_EQ(reader.find("nothing"), nullptr);
}

TEST(Hdf5, TiedTensorsAreStoredOnceAndStayTied) {
  const ScratchFolder folder;
  write_hdf5(folder / "a.h5", rich_document());
  const Hdf5Reader reader = Hdf5Reader::open(folder / "a.h5");
  EXPECT_EQ(reader.find("views/whole")->offset_bytes, reader.find("views/tied")->offset_bytes);
  EXPECT_NE(reader.find("views/whole")->offset_bytes, reader.find("views/part")->offset_bytes);
  const Document back = reader.document();
  EXPECT_EQ(tensor_at(back, "views/whole").storage(), tensor_at(back, "views/tied").storage());
}

// Two storages over one run of memory, as two framework tensors over one parameter bring.
TEST(Hdf5, TiesAreSeenThroughSeparateStorages) {
  const ScratchFolder folder;
  Document document;
  const auto memory = std::make_shared<std::vector<std::byte>>(64);
  document.root = document.arena->dict();
  for (const std::string_view name : {"a", "b"}) {
    document.root.as_dict().append(*document.arena, name,
                                   document.arena->tensor(Tensor::contiguous(
                                       DType::kFloat32, {16}, borrowed_storage(*memory, memory))));
  }
  EXPECT_EQ(write_hdf5(folder / "a.h5", document).tensor_bytes, 64u);
  expect_whole(folder / "a.h5");
}

TEST(Hdf5, SameStateSameBytes) {
  const ScratchFolder folder;
  write_hdf5(folder / "a.h5", rich_document(), {.jobs = 1});
  write_hdf5(folder / "b.h5", rich_document(), {.jobs = 7, .direct = false});
  EXPECT_TRUE(read_file(folder / "a.h5") == read_file(folder / "b.h5"));
  // And again from what was read.
  write_hdf5(folder / "c.h5", Hdf5Reader::open(folder / "a.h5").document());
  write_hdf5(folder / "d.h5", Hdf5Reader::open(folder / "c.h5").document());
  EXPECT_EQ(read_file(folder / "c.h5"), read_file(folder / "d.h5"));
}

TEST(Hdf5, LargeTensorsHaveChunkDigests) {
  const ScratchFolder folder;
  Document document;
  Arena& arena = *document.arena;
  document.root = arena.dict();
  DictNode& root = document.root.as_dict();
  const Tensor plain =
      patterned(DType::kUInt8, {static_cast<std::int64_t>(2 * kChunkBytes + 12345)}, 7);
  const Tensor wide = patterned(DType::kFloat32, {2048, 2500}, 8);
  root.append(arena, "small", arena.tensor(patterned(DType::kFloat32, {3})));
  root.append(arena, "plain", arena.tensor(plain));
  root.append(
      arena, "transposed",
      arena.tensor(Tensor::make(DType::kFloat32, {2500, 2048}, {1, 2500}, 0, wide.storage())));
  root.append(arena, "tail", arena.tensor(patterned(DType::kFloat32, {3})));
  write_hdf5(folder / "a.h5", document);
  expect_same(document, Hdf5Reader::open(folder / "a.h5").document(Verify::kAll));
  expect_whole(folder / "a.h5");

  // A flipped bit is placed to the chunk, and found however the tensor is reached.
  const TensorEntry entry = *Hdf5Reader::open(folder / "a.h5").find("plain");
  std::string bytes = read_file(folder / "a.h5");
  bytes[entry.offset_bytes + kChunkBytes + 77] ^= 1;
  write_file(folder / "b.h5", bytes);
  const VerifyReport report = verify(folder / "b.h5");
  ASSERT_FALSE(report.ok());
  const auto chunk = std::find_if(
      report.problems.begin(), report.problems.end(),
      [&](const Problem& p) { return p.offset_bytes == entry.offset_bytes + kChunkBytes; });
  ASSERT_NE(chunk, report.problems.end());
  EXPECT_EQ(chunk->tensor, "plain");
  EXPECT_NE(chunk->message.find("chunk 1 at byte"), std::string::npos);
  EXPECT_THROW(Hdf5Reader::open(folder / "b.h5").document(Verify::kAll), Error);
  const Document touched = Hdf5Reader::open(folder / "b.h5").document(Verify::kTouched);
  EXPECT_NO_THROW(tensor_at(touched, "transposed").digest());
  EXPECT_THROW(tensor_at(touched, "plain").in_place(), Error);
  EXPECT_NO_THROW(Hdf5Reader::open(folder / "b.h5").document(Verify::kNone));
}

TEST(Hdf5, ManyTensorsInOneGroup) {
  const ScratchFolder folder;
  Document document;
  Arena& arena = *document.arena;
  document.root = arena.dict();
  const Value model = arena.dict();
  for (int i = 0; i < 3000; ++i) {
    model.as_dict().append(arena, fmt::format("layers.{}.weight", i),
                           arena.tensor(patterned(DType::kFloat32, {3}, static_cast<unsigned>(i))));
  }
  document.root.as_dict().append(arena, "model", model);
  write_hdf5(folder / "a.h5", document);
  expect_whole(folder / "a.h5");
}

TEST(Hdf5, ADocumentWithoutTensors) {
  const ScratchFolder folder;
  Document document;
  document.root = Value::integer(3);
  write_hdf5(folder / "a.h5", document);
  EXPECT_EQ(Hdf5Reader::open(folder / "a.h5").document().root.as_int(), 3);
  expect_whole(folder / "a.h5");
}

TEST(Hdf5, WorksWhereDirectWritesAreRefused) {
  if (!std::filesystem::exists("/dev/shm")) GTEST_SKIP() << "no tmpfs at /dev/shm";
  const ScratchFolder memory("/dev/shm");
  const ScratchFolder folder;
  write_hdf5(memory / "a.h5", rich_document());
  write_hdf5(folder / "a.h5", rich_document());
  EXPECT_EQ(read_file(memory / "a.h5"), read_file(folder / "a.h5"));
}

TEST(Hdf5, ReplacesOnlyWhenAllowed) {
  const ScratchFolder folder;
  write_hdf5(folder / "a.h5", small_document());
  const std::string before = read_file(folder / "a.h5");
  EXPECT_THROW(write_hdf5(folder / "a.h5", rich_document(), {.publish = Publish::kNew}), Error);
  EXPECT_EQ(read_file(folder / "a.h5"), before);
  write_hdf5(folder / "a.h5", rich_document());
  EXPECT_NE(read_file(folder / "a.h5"), before);
  // Nothing is left beside it.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

// As if the final text had been there when the file was written.
TEST(Hdf5, AmendingAFileGivesTheBytesOfOneWrittenSo) {
  const ScratchFolder folder;
  const auto document_saying = [](std::string_view text) {
    Document document = small_document();
    Arena& arena = *document.arena;
    const Value source = arena.dict();
    source.as_dict().append(arena, "digest", arena.string(text));
    document.root.as_dict().append(arena, "source", source);
    document.root.as_dict().append(arena, "title", arena.string("a title"));
    return document;
  };
  write_hdf5(folder / "a.h5", document_saying("@@placeholder@@"));
  write_hdf5(folder / "b.h5", document_saying("the final words"));
  amend_hdf5(folder / "a.h5", "@@placeholder@@", "the final words");
  EXPECT_TRUE(read_file(folder / "a.h5") == read_file(folder / "b.h5"));
  expect_whole(folder / "a.h5");

  for (const auto& [placeholder, text] : {std::pair("not there", "something"),
                                          {"the final words", "shorter"},
                                          {"fc.", "ab."},
                                          {"a title", "b title"}}) {
    EXPECT_THROW(amend_hdf5(folder / "a.h5", placeholder, text), Error) << placeholder;
  }
  EXPECT_TRUE(read_file(folder / "a.h5") == read_file(folder / "b.h5"));
}

TEST(Hdf5, AMissingDirectoryIsNotFound) {
  try {
    write_hdf5("/nonexistent/folder/a.h5", small_document());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kNotFound);
  }
}

TEST(Hdf5, ProgressCountsWhatIsWritten) {
  const ScratchFolder folder;
  std::atomic<std::uint64_t> bytes{0};
  const WriteReport report = write_hdf5(folder / "a.h5", rich_document(),
                                        {.on_bytes = [&](std::uint64_t n) { bytes += n; }});
  EXPECT_EQ(bytes.load(), report.file_bytes);
}

}  // namespace
}  // namespace reprise::container
