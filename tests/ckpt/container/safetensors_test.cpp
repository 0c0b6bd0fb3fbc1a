#include "ckpt/container/safetensors.h"

#include "ckpt/base/error.h"
#include "tests/ckpt/container/sample.h"
#include "tests/cpu_clock.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>

namespace reprise::container {
namespace {

std::string with_header(std::string_view header, std::size_t data_bytes) {
  std::string bytes(8, '\0');
  store_little(reinterpret_cast<std::byte*>(bytes.data()),
               static_cast<std::uint64_t>(header.size()));
  return bytes + std::string(header) + std::string(data_bytes, 'x');
}

TEST(Safetensors, ValuesNamesAndTextComeBack) {
  const ScratchFolder folder;
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (std::size_t i = 0; i < kDTypeCount; ++i) {
    const auto dtype = static_cast<DType>(i);
    if (safetensors_name(dtype))
      tensors.emplace_back(name(dtype), patterned(dtype, {3, 5}, static_cast<unsigned>(i)));
  }
  const Tensor base = patterned(DType::kFloat32, {4, 6}, 9);
  tensors.emplace_back("transposed",
                       Tensor::make(DType::kFloat32, {6, 4}, {1, 6}, 0, base.storage()));
  tensors.emplace_back("empty", patterned(DType::kFloat32, {0}));
  const WriteReport report =
      write_safetensors(folder / "a.safetensors", tensors, {{"format", "pt"}, {"epoch", "3"}});
  EXPECT_EQ(report.file_bytes, std::filesystem::file_size(folder / "a.safetensors"));
  EXPECT_EQ(report.file_digest, sha256_file(folder / "a.safetensors"));

  const Document back = open_safetensors(folder / "a.safetensors");
  const DictNode& root = back.root.as_dict();
  ASSERT_EQ(root.entries.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    const Tensor& read = root.get(name).as_tensor().tensor;
    EXPECT_EQ(read.dtype(), tensor.dtype());
    EXPECT_EQ(read.shape(), tensor.shape());
    EXPECT_EQ(read.digest(), tensor.digest()) << name;
  }
  EXPECT_EQ(root.attributes.as_dict().get("epoch").as_string(), "3");
}

TEST(Safetensors, WhatTheFormatCannotHoldIsRefused) {
  const ScratchFolder folder;
  const auto code = [&](std::vector<std::pair<std::string, Tensor>> tensors) {
    try {
      write_safetensors(folder / "x", tensors, {});
    } catch (const Error& error) {
      return error.code();
    }
    return Code::kNo;
  };
  const Tensor fine = patterned(DType::kFloat32, {1});
  EXPECT_EQ(code({{"a", patterned(DType::kComplex128, {1})}}), Code::kUnsupported);
  EXPECT_EQ(code({{"a", fine}, {"a", fine}}), Code::kUsage);
  EXPECT_EQ(code({{"__metadata__", fine}}), Code::kUsage);
  EXPECT_EQ(code({{"\xff", fine}}), Code::kUnsupported);
  EXPECT_FALSE(std::filesystem::exists(folder / "x"));
}

TEST(Safetensors, HostileHeadersAreRefused) {
  const ScratchFolder folder;
  struct Case {
    std::string_view header;
    std::size_t data_bytes;
    Code code;
  };
  const Case kCases[] = {
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
       8, Code::kCorrupt},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})",
       6, Code::kCorrupt},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8, Code::kCorrupt},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 5, Code::kCorrupt},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 3, Code::kCorrupt},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4, Code::kCorrupt},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4, Code::kCorrupt},
      {R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", 0,
       Code::kCorrupt},
      {R"({"a":{"dtype":"F32","shape":[2305843009213693953,8],"data_offsets":[0,32]}})", 32,
       Code::kCorrupt},
      {R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4, Code::kCorrupt},
      {R"({"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", 4, Code::kCorrupt},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551615]}})", 4,
       Code::kCorrupt},
      {R"({"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}})", 4, Code::kUnsupported},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"code":"x"}})", 4, Code::kCorrupt},
      {R"({"a":{"dtype":"F32","shape":[[[[1]]]],"data_offsets":[0,4]}})", 4, Code::kCorrupt},
      {R"({"__metadata__":{"a":1}})", 0, Code::kCorrupt},
      {R"({"__metadata__":[]})", 0, Code::kCorrupt},
      {R"([])", 0, Code::kCorrupt},
      {R"({)", 0, Code::kCorrupt},
      {"{\"\xff\":{}}", 0, Code::kCorrupt},
  };
  for (const Case& c : kCases) {
    write_file(folder / "x", with_header(c.header, c.data_bytes));
    try {
      open_safetensors(folder / "x");
      ADD_FAILURE() << c.header;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), c.code) << c.header << ": " << error.what();
    }
  }
}

// Each key was looked up among all of them: 60,000 took three seconds.
TEST(Safetensors, ManyMetadataKeysCostNoSearch) {
  const ScratchFolder folder;
  std::string header = R"({"__metadata__":{)";
  for (int i = 0; i < 200'000; ++i) header += fmt::format(R"({}"{}":"x")", i > 0 ? "," : "", i);
  header += R"(},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  write_file(folder / "x", with_header(header, 4));
  const auto begun = CpuClock::now();
  const Document document = open_safetensors(folder / "x");
  EXPECT_LT(CpuClock::now() - begun, std::chrono::seconds(2));
  EXPECT_EQ(document.root.as_dict().attributes.as_dict().entries.size(), 200'000U);
}

TEST(Safetensors, HeaderLengthIsBounded) {
  const ScratchFolder folder;
  for (const std::uint64_t length :
       {std::uint64_t{100'000'001}, std::uint64_t{1} << 63, std::uint64_t{50}}) {
    std::string bytes(16, '{');
    store_little(reinterpret_cast<std::byte*>(bytes.data()), length);
    write_file(folder / "x", bytes);
    EXPECT_THROW(open_safetensors(folder / "x"), Error);
  }
  write_file(folder / "x", "1234567");
  EXPECT_THROW(open_safetensors(folder / "x"), Error);
}

TEST(Safetensors, EveryTruncationIsRefused) {
  const ScratchFolder folder;
  const std::pair<std::string, Tensor> tensors[] = {{"a", patterned(DType::kFloat32, {3})},
                                                    {"b", patterned(DType::kInt8, {5})}};
  write_safetensors(folder / "x", tensors, {});
  for (auto length = std::filesystem::file_size(folder / "x"); length-- > 0;) {
    std::filesystem::resize_file(folder / "x", length);
    EXPECT_THROW(open_safetensors(folder / "x"), Error) << length;
  }
}

}  // namespace
}  // namespace reprise::container
