// What is compared before a result gets its name, and how often.
#include "migrate/cli/read_back.h"

#include "ckpt/base/error.h"
#include "ckpt/base/uuid.h"
#include "ckpt/store/save.h"

#include <gtest/gtest.h>

#include <atomic>

namespace reprise::migrate {
namespace {
namespace fs = std::filesystem;

constexpr std::size_t kValues = 100'000;

std::shared_ptr<const Storage> numbers(std::uint8_t first) {
  std::vector<std::byte> bytes(4 * kValues);
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::byte>(first + i * 7 % 100);
  return owned_storage(std::move(bytes));
}

Tensor matrix(const std::shared_ptr<const Storage>& storage, Shape strides = {100, 1}) {
  return Tensor::make(DType::kFloat32, {1000, 100}, std::move(strides), 0, storage);
}

class ReadBack : public testing::Test {
 protected:
  void SetUp() override { fs::create_directory(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  static Checkpoint checkpoint(const std::vector<std::pair<std::string, Tensor>>& tensors) {
    Checkpoint out;
    out.type = CheckpointType::kModel;
    out.uuid = Uuid::from_url_name("read back");
    out.arch = "net";
    for (const auto& [name, tensor] : tensors) out.model.append(name, tensor);
    return out;
  }
  fs::path written(const Checkpoint& of, const char* suffix = ".h5") {
    const fs::path file = folder_ / (std::string("a") + suffix);
    store::save_as(of, file);
    return file;
  }

  fs::path folder_ = fs::temp_directory_path() / ("reprise-read-back-" + Uuid::random().text());
};

TEST_F(ReadBack, ATensorOfManyNamesIsReadOnce) {
  const auto storage = numbers(1);
  std::vector<std::pair<std::string, Tensor>> tensors = {{"turned", matrix(storage, {1, 1000})},
                                                         {"other", matrix(numbers(2))}};
  for (int i = 0; i < 1000; ++i) tensors.emplace_back(std::to_string(i), matrix(storage));
  const Checkpoint source = checkpoint(tensors);
  std::atomic<std::uint64_t> compared{0};
  compare_with_source(source, written(source),
                      {.on_bytes = [&](std::uint64_t bytes) { compared += bytes; }});
  EXPECT_EQ(compared, 2 * 4 * kValues);  // strided ones are compared by their digests
}

TEST_F(ReadBack, OneTiedTensorThatIsAnotherNowIsSeen) {
  const auto storage = numbers(1);
  const Checkpoint source = checkpoint({{"a", matrix(storage)}, {"b", matrix(storage)}});
  for (const char* suffix : {".h5", ".pth"}) {
    const fs::path same =
        written(checkpoint({{"a", matrix(storage)}, {"b", matrix(numbers(1))}}), suffix);
    EXPECT_NO_THROW(compare_with_source(source, same, {}));
    const fs::path other =
        written(checkpoint({{"a", matrix(storage)}, {"b", matrix(numbers(3))}}), suffix);
    EXPECT_THROW(compare_with_source(source, other, {}), Error) << suffix;
  }
}

TEST_F(ReadBack, WhatIsMissingOrOfAnotherShapeOrNameIsSeen) {
  const Checkpoint source = checkpoint({{"a", matrix(numbers(1))}, {"b", matrix(numbers(2))}});
  for (const Checkpoint& other :
       {checkpoint({{"a", matrix(numbers(1))}}),
        checkpoint({{"a", matrix(numbers(1))}, {"c", matrix(numbers(2))}}),
        checkpoint({{"a", matrix(numbers(1))},
                    {"b", Tensor::make(DType::kFloat32, {100, 1000}, {1000, 1}, 0, numbers(2))}}),
        checkpoint({{"a", matrix(numbers(1))},
                    {"b", Tensor::make(DType::kInt32, {1000, 100}, {100, 1}, 0, numbers(2))}})}) {
    EXPECT_THROW(compare_with_source(source, written(other), {}), Error);
  }
}

}  // namespace
}  // namespace reprise::migrate
