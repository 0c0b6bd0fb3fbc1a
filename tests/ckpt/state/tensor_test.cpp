#include "ckpt/state/tensor.h"

#include "ckpt/base/error.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <numeric>

namespace reprise {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

std::shared_ptr<const Storage> bytes_0_to(std::size_t count) {
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(i);
  return owned_storage(std::move(bytes));
}

// The same bytes, but only to be had by reading.
class ReadOnlyStorage final : public Storage {
 public:
  explicit ReadOnlyStorage(std::shared_ptr<const Storage> inner) : inner_(std::move(inner)) {}
  std::uint64_t size_bytes() const override { return inner_->size_bytes(); }
  void read(std::uint64_t offset, MutableBytes out) const override { inner_->read(offset, out); }

 private:
  std::shared_ptr<const Storage> inner_;
};

std::vector<int> numbers(const Tensor& tensor) {
  std::vector<int> out;
  for (const std::byte b : tensor.to_bytes()) out.push_back(static_cast<int>(b));
  return out;
}

bool refused(DType dtype, Shape shape, Shape strides, std::int64_t offset,
             std::size_t storage_bytes) {
  try {
    Tensor::make(dtype, std::move(shape), std::move(strides), offset, bytes_0_to(storage_bytes));
    return false;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kCorrupt);
    return true;
  }
}

TEST(Tensor, EveryElementLiesInItsStorage) {
  EXPECT_FALSE(refused(DType::kUInt8, {2, 3}, {3, 1}, 0, 6));
  EXPECT_TRUE(refused(DType::kUInt8, {2, 3}, {3, 1}, 1, 6));
  EXPECT_TRUE(refused(DType::kUInt8, {2, 3}, {4, 1}, 0, 6));
  EXPECT_TRUE(refused(DType::kFloat32, {2}, {1}, 0, 7));
  EXPECT_FALSE(refused(DType::kUInt8, {}, {}, 5, 6));
  EXPECT_TRUE(refused(DType::kUInt8, {}, {}, 6, 6));
  // Broadcast: a stride of zero reads one element many times.
  EXPECT_FALSE(refused(DType::kUInt8, {1000}, {0}, 5, 6));
}

TEST(Tensor, EmptyOnesNeedNoStorageButSaneNumbers) {
  EXPECT_FALSE(refused(DType::kFloat32, {0}, {1}, 0, 0));
  EXPECT_FALSE(refused(DType::kFloat32, {3, 0, 2}, {0, 2, 1}, 0, 0));
  EXPECT_TRUE(refused(DType::kFloat32, {0, -1}, {1, 1}, 0, 0));
  EXPECT_TRUE(refused(DType::kFloat32, {0, kMax, kMax}, {1, 1, 1}, 0, 0));
}

TEST(Tensor, HostileNumbersAreRefused) {
  EXPECT_TRUE(refused(DType::kUInt8, {2}, {-1}, 1, 6));
  EXPECT_TRUE(refused(DType::kUInt8, {2}, {1}, -1, 6));
  EXPECT_TRUE(refused(DType::kUInt8, {-2}, {1}, 0, 6));
  EXPECT_TRUE(refused(DType::kUInt8, {2, 2}, {1}, 0, 6));
  EXPECT_TRUE(refused(DType::kUInt8, {2}, {kMax}, 1, 6));
  EXPECT_TRUE(refused(DType::kFloat64, {kMax}, {1}, 0, 6));
  EXPECT_TRUE(refused(DType::kUInt8, {1 << 30, 1 << 30, 1 << 30}, {0, 0, 0}, 0, 6));
  EXPECT_TRUE(refused(DType::kUInt8, {2}, {1}, kMax, 6));
  EXPECT_THROW(Tensor::make(DType::kUInt8, {1}, {1}, 0, nullptr), Error);
}

TEST(Tensor, ShapeThatOverflowsIsRefused) {
  const Shape huge = {std::int64_t{1} << 32, std::int64_t{1} << 32};
  EXPECT_THROW(count_elements(huge), Error);
  EXPECT_EQ(count_elements(Shape{}), 1);
  EXPECT_EQ(count_elements(Shape{3, 0}), 0);
}

TEST(Tensor, ContiguityIgnoresExtentsOfOne) {
  const auto storage = bytes_0_to(64);
  EXPECT_TRUE(Tensor::make(DType::kUInt8, {1, 4}, {4, 1}, 0, storage).is_contiguous());
  EXPECT_TRUE(Tensor::make(DType::kUInt8, {4, 1}, {1, 9}, 0, storage).is_contiguous());
  EXPECT_FALSE(Tensor::make(DType::kUInt8, {4, 2}, {1, 4}, 0, storage).is_contiguous());
}

TEST(Tensor, StridedValuesComeInRowMajorOrder) {
  const Tensor transposed = Tensor::make(DType::kUInt8, {3, 2}, {1, 3}, 4, bytes_0_to(16));
  EXPECT_EQ(numbers(transposed), (std::vector<int>{4, 7, 5, 8, 6, 9}));
  EXPECT_TRUE(transposed.in_place().empty());
  const Tensor unread = Tensor::make(DType::kUInt8, {3, 2}, {1, 3}, 4,
                                     std::make_shared<ReadOnlyStorage>(bytes_0_to(16)));
  EXPECT_EQ(numbers(unread), numbers(transposed));
  const Tensor wide = Tensor::make(DType::kUInt16, {2, 2}, {1, 2}, 1, bytes_0_to(16));
  EXPECT_EQ(numbers(wide), (std::vector<int>{2, 3, 6, 7, 4, 5, 8, 9}));
  const Tensor broadcast = Tensor::make(DType::kUInt8, {2, 3}, {0, 1}, 1, bytes_0_to(16));
  EXPECT_EQ(numbers(broadcast), (std::vector<int>{1, 2, 3, 1, 2, 3}));
}

TEST(Tensor, ChunksJoinToTheWhole) {
  std::vector<std::byte> bytes(100'000);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 31 >> 3);
  const auto storage = owned_storage(bytes);
  const Tensor views[] = {
      Tensor::make(DType::kFloat32, {100, 250}, {250, 1}, 0, storage),
      Tensor::make(DType::kFloat32, {250, 100}, {1, 250}, 0, storage),
      Tensor::make(DType::kComplex64, {50, 250}, {1, 50}, 0, storage).with_lazy_bits(true, true),
      Tensor::make(DType::kFloat32, {100, 250}, {250, 1}, 0,
                   std::make_shared<ReadOnlyStorage>(storage))};
  for (const Tensor& tensor : views) {
    const std::vector<std::byte> whole = tensor.to_bytes();
    for (const std::size_t chunk : {16U, 1008U, 65536U, 1U << 20}) {
      std::vector<std::byte> joined;
      tensor.for_each_chunk(chunk, [&](Bytes piece) {
        EXPECT_LE(piece.size(), chunk);
        joined.insert(joined.end(), piece.begin(), piece.end());
      });
      EXPECT_EQ(joined, whole) << chunk;
    }
    EXPECT_EQ(tensor.digest(), sha256(whole));
  }
}

TEST(Tensor, LazyBitsAreResolvedWhenRead) {
  const float values[] = {1, 2, -3, 0};
  const Tensor complex = Tensor::copy_of(DType::kComplex64, {2}, std::as_bytes(std::span(values)));
  const auto read = [](const Tensor& tensor) {
    std::vector<float> out(4);
    std::memcpy(out.data(), tensor.to_bytes().data(), 16);
    return out;
  };
  EXPECT_EQ(read(complex.with_lazy_bits(true, false)), (std::vector<float>{1, -2, -3, -0.0F}));
  EXPECT_EQ(read(complex.with_lazy_bits(false, true)), (std::vector<float>{-1, -2, 3, -0.0F}));
  EXPECT_EQ(read(complex.with_lazy_bits(true, true)), (std::vector<float>{-1, 2, 3, 0}));
  EXPECT_TRUE(complex.with_lazy_bits(true, false).in_place().empty());
  const std::int16_t integers[] = {5, -32768};
  const Tensor negated = Tensor::copy_of(DType::kInt16, {2}, std::as_bytes(std::span(integers)))
                             .with_lazy_bits(false, true);
  std::int16_t out[2];
  std::memcpy(out, negated.to_bytes().data(), 4);
  EXPECT_EQ(out[0], -5);
  EXPECT_EQ(out[1], -32768);  // wraps, as in PyTorch
  // A real tensor has no conjugate.
  EXPECT_FALSE(Tensor::copy_of(DType::kFloat32, {4}, std::as_bytes(std::span(values)))
                   .with_lazy_bits(true, false)
                   .conjugated());
}

TEST(Tensor, BufferOfTheWrongSizeIsOurBug) {
  const Tensor tensor = Tensor::contiguous(DType::kUInt8, {4}, bytes_0_to(4));
  std::vector<std::byte> small(3);
  try {
    tensor.read(small);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInternal);
  }
}

}  // namespace
}  // namespace reprise
