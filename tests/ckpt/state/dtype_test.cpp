#include "ckpt/state/dtype.h"
#include "ckpt/state/state_dict.h"

#include "ckpt/base/error.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace reprise {
namespace {

TEST(DType, NamesAreUniqueAndComeBack) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kDTypeCount; ++i) {
    const auto dtype = static_cast<DType>(i);
    EXPECT_TRUE(names.insert(name(dtype)).second) << name(dtype);
    EXPECT_EQ(dtype_from_name(name(dtype)), dtype);
    EXPECT_GE(item_size(dtype), 1U);
    if (const auto other = safetensors_name(dtype)) {
      EXPECT_EQ(dtype_from_safetensors_name(*other), dtype);
    }
  }
  EXPECT_FALSE(dtype_from_name("float31"));
  EXPECT_FALSE(dtype_from_name("torch.float32"));
  EXPECT_FALSE(dtype_from_safetensors_name("f32"));
}

TEST(DType, SizesAndKinds) {
  EXPECT_EQ(item_size(DType::kBFloat16), 2U);
  EXPECT_EQ(item_size(DType::kComplex128), 16U);
  EXPECT_EQ(safetensors_name(DType::kBFloat16), "BF16");
  EXPECT_FALSE(safetensors_name(DType::kQInt8));
  EXPECT_TRUE(is_floating(DType::kFloat8E5M2));
  EXPECT_FALSE(is_floating(DType::kComplex64));
  EXPECT_TRUE(is_complex(DType::kComplex32));
  EXPECT_TRUE(is_quantized(DType::kQUInt4x2));
}

TEST(StateDict, KeepsOrderAndRefusesRepeatedNames) {
  StateDict dict;
  const std::byte byte{1};
  for (const char* key : {"z", "a", "m.b"})
    dict.append(key, Tensor::copy_of(DType::kUInt8, {1}, {&byte, 1}));
  std::string order;
  for (const auto& [key, tensor] : dict) order += key + " ";
  EXPECT_EQ(order, "z a m.b ");
  EXPECT_EQ(dict.size_bytes(), 3U);
  EXPECT_NE(dict.find("m.b"), nullptr);
  EXPECT_EQ(dict.find("m"), nullptr);
  EXPECT_THROW(dict.append("a", Tensor()), Error);
  EXPECT_EQ(dict.strip_prefix("m.").begin()->first, "b");
  EXPECT_TRUE(dict.strip_prefix("none.").empty());
}

}  // namespace
}  // namespace reprise
