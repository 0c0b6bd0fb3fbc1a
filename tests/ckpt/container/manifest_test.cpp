#include "ckpt/container/manifest.h"

#include "ckpt/base/error.h"
#include "tests/ckpt/container/sample.h"
#include "tests/cpu_clock.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>

namespace reprise::container {
namespace {

Document decode(const std::string& json, std::vector<Tensor> tensors = {}) {
  Document document;
  document.root = decode_manifest(json, tensors, *document.arena);
  return document;
}

Code code_of(const std::string& json) {
  try {
    decode(json);
  } catch (const Error& error) {
    return error.code();
  }
  return Code::kNo;
}

std::vector<Tensor> tensors_of(const EncodedDocument& encoded) {
  std::vector<Tensor> tensors;
  for (const NamedTensor& named : encoded.tensors) tensors.push_back(named.tensor);
  return tensors;
}

TEST(Manifest, EveryKindOfValueComesBackExactly) {
  const Document document = rich_document();
  const EncodedDocument first = encode_manifest(document.root);
  const Document back = decode(first.json, tensors_of(first));
  const EncodedDocument second = encode_manifest(back.root);
  EXPECT_EQ(first.json, second.json);
  ASSERT_EQ(first.tensors.size(), second.tensors.size());
  for (std::size_t i = 0; i < first.tensors.size(); ++i) {
    EXPECT_EQ(first.tensors[i].name, second.tensors[i].name);
  }
  const auto& numbers = back.root.as_dict().get("numbers").as_sequence().items;
  const auto& original = document.root.as_dict().get("numbers").as_sequence().items;
  ASSERT_EQ(numbers.size(), original.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    ASSERT_EQ(numbers[i].kind(), original[i].kind()) << i;
    if (numbers[i].kind() == Kind::kFloat) {
      EXPECT_EQ(std::bit_cast<std::uint64_t>(numbers[i].as_float()),
                std::bit_cast<std::uint64_t>(original[i].as_float()));
    }
    if (numbers[i].kind() == Kind::kInt) {
      EXPECT_EQ(numbers[i].as_int(), original[i].as_int());
    }
    if (numbers[i].kind() == Kind::kBigInt) {
      EXPECT_EQ(as_text(numbers[i].as_bytes()), as_text(original[i].as_bytes()));
    }
  }
}

TEST(Manifest, IdentityIsKept) {
  const EncodedDocument encoded = encode_manifest(rich_document().root);
  const Document back = decode(encoded.json, tensors_of(encoded));
  const DictNode& root = back.root.as_dict();
  EXPECT_EQ(root.get("reprise").identity(), root.get("again").identity());
  const Value records = root.get("records");
  EXPECT_EQ(records.as_sequence().items.back().identity(), records.identity());
}

TEST(Manifest, NamesAreTheKeysOnTheWay) {
  Document document;
  Arena& arena = *document.arena;
  document.root = arena.dict();
  const Value state = arena.dict();
  const Value slot = arena.dict();
  slot.as_dict().append(arena, "exp_avg", arena.tensor(patterned(DType::kFloat32, {2})));
  state.as_dict().append(arena, Value::integer(0), slot);
  const Value optimizer = arena.dict();
  optimizer.as_dict().append(arena, "state", state);
  document.root.as_dict().append(arena, "optimizer", optimizer);
  const auto names = name_tensors(document);
  ASSERT_EQ(names.size(), 1u);
  EXPECT_EQ(names[0].name, "optimizer/state/0/exp_avg");
}

TEST(Manifest, OddKeysAreEscapedApart) {
  EXPECT_EQ(escape_component("blocks.0.attn.qkv.weight"), "blocks.0.attn.qkv.weight");
  EXPECT_EQ(escape_component("a/b"), "a%2Fb");
  EXPECT_EQ(escape_component("%"), "%25");
  EXPECT_EQ(escape_component("@x"), "%40x");
  EXPECT_EQ(escape_component(""), "%");
  EXPECT_EQ(escape_component("."), "%2E");
  EXPECT_EQ(escape_component("\xff"), "%FF");
  EXPECT_EQ(escape_component("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
  EXPECT_NE(escape_component(std::string(3000, 'n')), escape_component(std::string(3001, 'n')));
  EXPECT_LE(escape_component(std::string(3000, 'n')).size(), 800u);
}

TEST(Manifest, SharedStructureStaysSmall) {
  // 60 levels, each holding the one below twice: 2^60 values if sharing were lost.
  Document document;
  Value value = document.arena->list();
  for (int i = 0; i < 60; ++i) {
    const Value pair[] = {value, value};
    value = document.arena->tuple(pair);
  }
  EXPECT_LT(encode_manifest(value).json.size(), 4000u);
}

// Nested keys of 800 bytes made paths of 300 KB, which were built anew for each value: 2 MB took 11
// s.
TEST(Manifest, LongPathsCostNothingWhereNoTensorIs) {
  Document document;
  Arena& arena = *document.arena;
  const Value leaf = arena.dict();
  for (int i = 0; i < 20'000; ++i) {
    leaf.as_dict().append(arena, Value::integer(i), Value::integer(i));
    const Value empty = arena.list();
    leaf.as_dict().append(arena, arena.string(fmt::format("list {}", i)), empty);
  }
  const std::string key(800, 'k');
  Value value = leaf;
  for (int i = 0; i < 380; ++i) {
    const Value above = arena.dict();
    above.as_dict().append(arena, arena.string(key), value);
    value = above;
  }
  const auto start = CpuClock::now();
  EXPECT_LT(encode_manifest(value).json.size(), 2u << 20);
  document.root = value;
  EXPECT_TRUE(name_tensors(document).empty());
  EXPECT_LT(CpuClock::now() - start, std::chrono::seconds(1));
}

// A key of 800 bytes, shared by 380 levels, is a path of 300 KB for each tensor of a tiny file.
TEST(Manifest, LongNamesAreRefusedBeforeTheyCostMemory) {
  Document document;
  Arena& arena = *document.arena;
  const Value leaf = arena.list();
  const Tensor tensor = patterned(DType::kFloat32, {1});
  for (int i = 0; i < 5000; ++i) leaf.as_sequence().items.push_back(arena, arena.tensor(tensor));
  const Value key = arena.string(std::string(800, 'k'));
  Value value = leaf;
  for (int i = 0; i < 380; ++i) {
    const Value above = arena.dict();
    above.as_dict().append(arena, key, value);
    value = above;
  }
  const auto peak_kib = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  };
  const long before = peak_kib();
  const auto start = CpuClock::now();
  EXPECT_THROW(encode_manifest(value), Error);
  EXPECT_LT(CpuClock::now() - start, std::chrono::seconds(1));
  EXPECT_LT(peak_kib() - before, 64 << 10);
}

// A text of 100 KB that a file of 160 KB names 10,000 times took 430 MB before it was refused.
TEST(Manifest, SharedTextIsRefusedBeforeItIsWritten) {
  Document document;
  Arena& arena = *document.arena;
  const Value text = arena.string(std::string(100'000, 'x'));
  const Value list = arena.list();
  for (int i = 0; i < 10'000; ++i) list.as_sequence().items.push_back(arena, text);
  rusage before{}, after{};
  getrusage(RUSAGE_SELF, &before);
  EXPECT_THROW(encode_manifest(list), Error);
  getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 16 << 10);
}

// Unknown classes may list one key again and again.
TEST(Manifest, ARepeatedKeyCostsNoSearch) {
  Document document;
  Arena& arena = *document.arena;
  const Value opaque = arena.opaque("a.B");
  const Tensor tensor = patterned(DType::kFloat32, {1});
  for (int i = 0; i < 20'000; ++i) {
    opaque.as_opaque().entries.push_back(arena, {arena.string("key"), arena.tensor(tensor)});
  }
  document.root = opaque;
  const auto start = CpuClock::now();
  const auto names = name_tensors(document);
  EXPECT_LT(CpuClock::now() - start, std::chrono::seconds(1));
  ASSERT_EQ(names.size(), 20'000u);
  EXPECT_EQ(names[0].name, "@entries/key");
  EXPECT_EQ(names[19'999].name, "@entries/key~20000");
}

TEST(Manifest, DepthIsBoundedBothWays) {
  Document document;
  Value value = document.arena->list();
  for (int i = 0; i < 100'000; ++i) value = document.arena->list(std::span(&value, 1));
  EXPECT_THROW(encode_manifest(value), Error);

  std::string json;
  for (int i = 0; i < 1'000'000; ++i) json += R"({"list":[)";
  EXPECT_EQ(code_of(json), Code::kCorrupt);
}

TEST(Manifest, MalformedIsCorrupt) {
  const char* const kBad[] = {
      "",
      "[1]",
      "{}",
      R"({"id":0})",
      R"({"ref":0})",
      R"({"tensor":0})",
      R"({"tensor":-1})",
      R"({"tensor":1.5})",
      R"({"list":{}})",
      R"({"dict":[1]})",
      R"({"dict":[[1]]})",
      R"({"float":"1"})",
      R"({"int":"x"})",
      R"({"int":"99999999999999999999"})",
      R"({"bytes":"0"})",
      R"({"bytes":"zz"})",
      R"({"complex":[1]})",
      R"({"id":1,"list":[]})",
      R"({"id":0,"list":[{"id":0,"list":[]}]})",
      R"({"tensor":null})",
      R"({"tensor":null,"layout":"strided","dtype":"float32","shape":[1]})",
      R"({"tensor":null,"layout":"meta","dtype":"float32","shape":[4611686018427387904,4]})",
      R"({"list":[1],"list":[2]})",
      "18446744073709551615",
      "1e999",
      "{\"list\":[\"\xff\"]}"};
  for (const char* json : kBad) EXPECT_EQ(code_of(json), Code::kCorrupt) << json;
  EXPECT_EQ(code_of(R"({"hologram":[]})"), Code::kUnsupported);
  EXPECT_EQ(code_of(R"({"hologram":"x"})"), Code::kUnsupported);
}

// 1 KB each once, 20 MB written out.
TEST(Manifest, WhatOccursAgainAndAgainIsRefused) {
  Document document;
  Arena& arena = *document.arena;
  const std::string text(1 << 10, 'a');
  const std::byte one{1};
  const Value tensor = arena.tensor(Tensor::copy_of(DType::kUInt8, {1}, Bytes(&one, 1)));
  for (const Value value : {arena.string(text), arena.bytes(as_bytes(text)), arena.global(text),
                            arena.big_integer(as_bytes(text)), tensor}) {
    EXPECT_NO_THROW(encode_manifest(arena.list(std::vector<Value>(2000, value))));
    try {
      encode_manifest(arena.list(std::vector<Value>(30'000, value)));
      ADD_FAILURE() << static_cast<int>(value.kind());
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kUnsupported);
    }
  }
}

// A tensor that is referred to from deep down a thousand times asked for its path as often.
TEST(Manifest, NamesAreBoundedTogether) {
  Document document;
  Arena& arena = *document.arena;
  const std::byte one{1};
  const Value tensor = arena.tensor(Tensor::copy_of(DType::kUInt8, {1}, Bytes(&one, 1)));
  document.root = arena.list(std::vector<Value>(4000, tensor));
  for (int depth = 0; depth < 300; ++depth) {
    const Value outer = arena.dict();
    outer.as_dict().append(arena, std::string(700, 'k'), document.root);
    document.root = outer;
  }
  try {
    encode_manifest(document.root);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnsupported);
  }
}

}  // namespace
}  // namespace reprise::container
