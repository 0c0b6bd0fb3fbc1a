#include "repro/ledger/tensor_digest.h"

#include <gtest/gtest.h>

#include <set>

namespace reprise::ledger {
namespace {

// The test sequence of docs/ledger-format.md.
std::vector<std::byte> sequence(std::size_t size, std::uint64_t seed) {
  std::vector<std::byte> bytes((size + 7) / 8 * 8);
  for (std::size_t i = 0; i < bytes.size() / 8; ++i) {
    store_little(bytes.data() + i * 8, mix64(seed + i * kKeyStep));
  }
  bytes.resize(size);
  return bytes;
}

struct Vector {
  const char* name;
  DType dtype;
  std::vector<std::int64_t> shape;
  std::size_t bytes;
  std::uint64_t seed;
  const char* digest;
};

// Printed by reference_digest.py, which was written from the document alone.
const Vector kVectors[] = {
    {"w", DType::kFloat32, {2, 3}, 24, 1, "44ecc4b5abb4e9bfcaee4d75ff430252"},
    {"a.b", DType::kBFloat16, {5}, 10, 2, "08f4a270693da60426c1559783ca4429"},
    {"s", DType::kFloat64, {}, 8, 3, "f41c1822e237d25bcc6ffc050f144b2e"},
    {"big", DType::kFloat32, {50000}, 200000, 4, "6134f69ab08078c4c21309d12a23c09d"},
    {"odd", DType::kUInt8, {131073}, 131073, 5, "5770354dbde59ac67ef6e8ff2c666491"},
    {"empty", DType::kFloat32, {0}, 0, 6, "df01c082fa1a9c190997b70981018bbd"},
};

TEST(TensorDigest, TestVectorsOfTheFormatDocument) {
  for (const Vector& v : kVectors) {
    const auto bytes = sequence(v.bytes, v.seed);
    EXPECT_EQ(digest_tensor({v.name, v.dtype, v.shape, bytes}).hex(), v.digest) << v.name;
  }
}

TEST(TensorDigest, EveryInstructionSetGivesTheSameLeaf) {
  for (const std::size_t size : {1u, 7u, 8u, 63u, 64u, 65u, 1000u, 65535u, 65536u}) {
    const auto bytes = sequence(size, size);
    const Node expected = digest_leaf(bytes, LaneKernel::kPortable);
    for (const LaneKernel kernel : {LaneKernel::kAvx2, LaneKernel::kAvx512}) {
      if (!supported(kernel)) continue;
      const Node node = digest_leaf(bytes, kernel);
      EXPECT_EQ(node.a, expected.a) << size;
      EXPECT_EQ(node.b, expected.b) << size;
    }
  }
}

TEST(TensorDigest, UnalignedBytesGiveTheSameLeaf) {
  const auto bytes = sequence(4096, 9);
  std::vector<std::byte> shifted(bytes.size() + 1);
  std::copy(bytes.begin(), bytes.end(), shifted.begin() + 1);
  EXPECT_EQ(digest_leaf(Bytes(shifted).subspan(1)).a, digest_leaf(bytes).a);
}

TEST(TensorDigest, EveryFlippedBitChangesIt) {
  auto bytes = sequence(3000, 1);
  const std::vector<std::int64_t> shape = {3000};
  std::set<std::string> seen = {digest_tensor({"w", DType::kUInt8, shape, bytes}).hex()};
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= std::byte(1u << (bit % 8));
    EXPECT_TRUE(seen.insert(digest_tensor({"w", DType::kUInt8, shape, bytes}).hex()).second) << bit;
    bytes[bit / 8] ^= std::byte(1u << (bit % 8));
  }
}

TEST(TensorDigest, SwappedEqualLaneWordsChangeIt) {
  // Words 0 and 8 share a lane; only the key of their stripe tells them apart.
  auto bytes = sequence(128, 2);
  const Node before = digest_leaf(bytes);
  std::swap_ranges(bytes.begin(), bytes.begin() + 8, bytes.begin() + 64);
  EXPECT_NE(digest_leaf(bytes).a, before.a);
}

TEST(TensorDigest, SwappedLeavesChangeIt) {
  auto bytes = sequence(2 * kLeafBytes, 3);
  const std::vector<std::int64_t> shape = {static_cast<std::int64_t>(bytes.size())};
  const auto before = digest_tensor({"w", DType::kUInt8, shape, bytes});
  std::swap_ranges(bytes.begin(), bytes.begin() + kLeafBytes, bytes.begin() + kLeafBytes);
  EXPECT_NE(digest_tensor({"w", DType::kUInt8, shape, bytes}), before);
}

TEST(TensorDigest, NameDtypeAndShapeAreBound) {
  const auto bytes = sequence(48, 4);
  const std::vector<std::int64_t> row = {12}, matrix = {3, 4};
  const auto base = digest_tensor({"w", DType::kFloat32, row, bytes});
  EXPECT_NE(digest_tensor({"v", DType::kFloat32, row, bytes}), base);
  EXPECT_NE(digest_tensor({"w", DType::kInt32, row, bytes}), base);
  EXPECT_NE(digest_tensor({"w", DType::kFloat32, matrix, bytes}), base);
}

TEST(TensorDigest, NumberOfThreadsDoesNotMatter) {
  std::vector<std::vector<std::byte>> data;
  for (std::size_t i = 0; i < 40; ++i) data.push_back(sequence(i * 77777, i));
  std::vector<std::vector<std::int64_t>> shapes;
  for (const auto& bytes : data) shapes.push_back({static_cast<std::int64_t>(bytes.size())});
  std::vector<TensorView> views;
  for (std::size_t i = 0; i < data.size(); ++i)
    views.push_back({"t", DType::kUInt8, shapes[i], data[i]});
  const auto one = digest_tensors(views, 1);
  EXPECT_EQ(digest_tensors(views, 2), one);
  EXPECT_EQ(digest_tensors(views, 3), one);
  EXPECT_EQ(one[7], digest_tensor(views[7]));
}

}  // namespace
}  // namespace reprise::ledger
