// Files whose digests are right and whose numbers lie.
#include "ckpt/base/error.h"
#include "ckpt/container/hdf5.h"
#include "ckpt/container/hdf5_format.h"
#include "ckpt/container/open.h"
#include "tests/ckpt/container/sample.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>

namespace reprise::container {
namespace {

class Hdf5Hostile : public testing::Test {
 protected:
  ScratchFolder folder_;
  std::filesystem::path path_ = folder_ / "a.h5";
  std::string bytes_;
  FirstBlock block_;

  void SetUp() override {
    write_hdf5(path_, small_document());
    bytes_ = read_file(path_);
    block_ = decode_first_block(as_bytes(bytes_), bytes_.size());
  }

  // Writes the file with `block_` and sections re-signed, as a forger would.
  void forge() {
    for (Section* section : {&block_.structures, &block_.table, &block_.manifest}) {
      if (fits(section->offset_bytes, section->size_bytes, bytes_.size())) {
        section->sha256 =
            sha256(std::string_view(bytes_).substr(section->offset_bytes, section->size_bytes));
      }
    }
    const auto first = encode_first_block(block_);
    std::memcpy(bytes_.data(), first.data(), first.size());
    write_file(path_, bytes_);
  }

  // Overwrites a number in row `row` of the tensor table.
  template <typename T>
  void set(std::size_t row, std::size_t at, T value) {
    std::memcpy(bytes_.data() + block_.table.offset_bytes + row * kTensorRecordBytes + at, &value,
                sizeof value);
  }
  template <typename T>
  T get(std::size_t row, std::size_t at) const {
    T value;
    std::memcpy(&value, bytes_.data() + block_.table.offset_bytes + row * kTensorRecordBytes + at,
                sizeof value);
    return value;
  }
  void set_extent(std::size_t index, std::int64_t value) {
    std::memcpy(
        bytes_.data() + block_.table.offset_bytes + block_.records * kTensorRecordBytes + index * 8,
        &value, 8);
  }

  void expect_refused(Code code, std::string_view word) {
    forge();
    try {
      Hdf5Reader::open(path_).document();
      ADD_FAILURE() << "accepted: " << word;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_NE(std::string_view(error.what()).find(word), std::string_view::npos) << error.what();
      EXPECT_TRUE(std::string_view(error.what()).starts_with(path_.string())) << error.what();
    }
    EXPECT_FALSE(verify(path_, {.deep = true}).ok());
  }
};

// Places of the numbers in a row.
constexpr std::size_t kNameAt = 0, kNameLength = 4, kShapeAt = 8, kRank = 12, kFlags = 14,
                      kOffset = 16, kSize = 24, kChunkAt = 32, kChunkCount = 36, kDType = 40;
constexpr auto kHuge = std::numeric_limits<std::uint64_t>::max();

TEST_F(Hdf5Hostile, TheForgeItselfMakesGoodFiles) {
  forge();
  EXPECT_TRUE(verify(path_, {.deep = true}).ok());
}

TEST_F(Hdf5Hostile, OverlappingExtents) {
  set(1, kOffset, get<std::uint64_t>(0, kOffset));
  expect_refused(Code::kCorrupt, "overlaps");
}

TEST_F(Hdf5Hostile, ExtentBeyondTheFile) {
  set(2, kOffset, align_up(bytes_.size(), 64));
  expect_refused(Code::kCorrupt, "end of the file");
}

TEST_F(Hdf5Hostile, OffsetThatOverflows) {
  set(2, kOffset, kHuge - 63);
  expect_refused(Code::kCorrupt, "end of the file");
}

TEST_F(Hdf5Hostile, ExtentInTheHead) {
  set(0, kOffset, std::uint64_t{4096});
  expect_refused(Code::kCorrupt, "end of the file");
}

TEST_F(Hdf5Hostile, SizeThatIsNotTheShape) {
  set(0, kSize, std::uint64_t{8});
  expect_refused(Code::kCorrupt, "which is not 20 elements");
}

TEST_F(Hdf5Hostile, ShapeThatOverflows) {
  set_extent(0, std::int64_t{1} << 62);
  expect_refused(Code::kCorrupt, "overflows");
}

TEST_F(Hdf5Hostile, ShapeThatIsNegative) {
  set_extent(0, -4);
  expect_refused(Code::kCorrupt, "negative");
}

TEST_F(Hdf5Hostile, ShapeOutsideTheTable) {
  set(0, kShapeAt, std::uint32_t{0xffffffff});
  expect_refused(Code::kCorrupt, "shape lies outside");
  set(0, kShapeAt, std::uint32_t{0});
  set(0, kRank, std::uint16_t{0xffff});
  expect_refused(Code::kCorrupt, "shape lies outside");
}

TEST_F(Hdf5Hostile, NameOutsideTheTable) {
  set(0, kNameAt, std::uint32_t{0xfffffff0});
  expect_refused(Code::kCorrupt, "name lies outside");
  set(0, kNameAt, std::uint32_t{0});
  set(0, kNameLength, std::uint32_t{0xffffffff});
  expect_refused(Code::kCorrupt, "name lies outside");
}

TEST_F(Hdf5Hostile, NamesThatRepeat) {
  set(1, kNameAt, get<std::uint32_t>(0, kNameAt));
  set(1, kNameLength, get<std::uint32_t>(0, kNameLength));
  expect_refused(Code::kCorrupt, "same name");
}

TEST_F(Hdf5Hostile, UnknownElementType) {
  set(0, kDType, std::uint64_t{0x3636363636363636});
  expect_refused(Code::kUnsupported, "element type");
}

TEST_F(Hdf5Hostile, UnknownFlags) {
  set(0, kFlags, std::uint16_t{1});
  expect_refused(Code::kUnsupported, "flags");
}

TEST_F(Hdf5Hostile, ChunksThatAreNotThere) {
  set(0, kChunkCount, std::uint32_t{7});
  expect_refused(Code::kCorrupt, "chunk digests");
  set(0, kChunkCount, std::uint32_t{0});
  set(0, kChunkAt, std::uint32_t{9});
  expect_refused(Code::kCorrupt, "chunk digests");
}

TEST_F(Hdf5Hostile, CountsThatOverflow) {
  block_.records = kHuge / kTensorRecordBytes + 2;
  expect_refused(Code::kCorrupt, "counts");
}

TEST_F(Hdf5Hostile, CountsThatDoNotAddUp) {
  block_.extents += 1;
  expect_refused(Code::kCorrupt, "counts");
}

TEST_F(Hdf5Hostile, AManifestOfFourGigabytes) {
  block_.manifest.size_bytes = std::uint64_t{4} << 30;
  expect_refused(Code::kCorrupt, "sections");
  // And one that lies in the file: sparse, so that it costs nothing to make.
  block_.data_offset = align_up(block_.manifest.end(), kPage);
  block_.file_bytes = block_.data_offset + (1u << 20);
  const auto first = encode_first_block(block_);
  std::memcpy(bytes_.data(), first.data(), first.size());
  write_file(path_, bytes_);
  std::filesystem::resize_file(path_, block_.file_bytes);
  EXPECT_THROW(Hdf5Reader::open(path_).document(), Error);
}

TEST_F(Hdf5Hostile, SectionsInDisorder) {
  std::swap(block_.table, block_.manifest);
  expect_refused(Code::kCorrupt, "sections");
}

TEST_F(Hdf5Hostile, NewerVersion) {
  block_.version = 9;
  block_.minimum_reader = 9;
  expect_refused(Code::kUnsupported, "version 9");
}

TEST_F(Hdf5Hostile, NewerVersionThatOldReadersMayRead) {
  block_.version = 9;
  forge();
  EXPECT_NO_THROW(Hdf5Reader::open(path_).document());
}

TEST_F(Hdf5Hostile, UnknownRequiredFeature) {
  block_.required_features = 4;
  expect_refused(Code::kUnsupported, "features");
}

TEST_F(Hdf5Hostile, ManifestThatNestsDeep) {
  std::string json(block_.manifest.size_bytes, '[');
  bytes_.replace(block_.manifest.offset_bytes, json.size(), json);
  expect_refused(Code::kCorrupt, "JSON");
}

TEST_F(Hdf5Hostile, ManifestThatNamesOtherTensors) {
  const auto at = bytes_.find(R"({"tensor":0})", block_.manifest.offset_bytes);
  ASSERT_NE(at, std::string::npos);
  bytes_[at + 10] = '9';
  expect_refused(Code::kCorrupt, "one of the 3");
}

// The tree is fine by itself and so is the table; together they are not.
TEST_F(Hdf5Hostile, ManifestThatSwapsTwoTensors) {
  const auto a = bytes_.find(R"({"tensor":0})", block_.manifest.offset_bytes);
  const auto b = bytes_.find(R"({"tensor":1})", block_.manifest.offset_bytes);
  std::swap(bytes_[a + 10], bytes_[b + 10]);
  forge();
  const VerifyReport report = verify(path_);
  ASSERT_FALSE(report.ok());
  EXPECT_NE(report.problems[0].message.find("do not say the same"), std::string::npos);
}

// What h5py would see differs from what we would load: our digests are right, the
// HDF5 part is another's.
TEST_F(Hdf5Hostile, StructuresThatTellAnotherStory) {
  // An external link (type 64) in place of a hard one, as a forger of links would start.
  const auto at = bytes_.find("fc.weight", block_.structures.offset_bytes);
  ASSERT_LT(at, block_.structures.end());
  bytes_[at] = 'F';
  forge();
  VerifyReport report = verify(path_, {.deep = true});
  ASSERT_FALSE(report.ok());
  EXPECT_NE(report.problems[0].message.find("HDF5 structures do not say"), std::string::npos);
  // Loading does not look at them at all.
  EXPECT_EQ(tensor_at(open(path_), "model/fc.weight").digest(),
            patterned(DType::kFloat32, {4, 5}, 2).digest());
}

}  // namespace
}  // namespace reprise::container
