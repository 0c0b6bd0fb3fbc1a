#include "ckpt/pickle/machine.h"

#include "ckpt/base/error.h"

#include <gtest/gtest.h>

#include <string>

namespace reprise::pickle {
namespace {

using namespace std::string_literals;

Value read(Arena& arena, const std::string& bytes) { return load(arena, as_bytes(bytes)).root; }

// Code and message of what reading fails with.
Error failure(const std::string& bytes) {
  Arena arena;
  try {
    load(arena, as_bytes(bytes));
  } catch (const Error& error) {
    return error;
  }
  return {Code::kInternal, "it was read"};
}

TEST(PickleMachine, ALaterKeyTakesTheFirstOnesPlace) {
  Arena arena;
  const std::string pickle = "\x80\x02}(X\x01\0\0\0aK\x01X\x01\0\0\0bK\x02X\x01\0\0\0aK\x03u."s;
  const DictNode& dict = read(arena, pickle).as_dict();
  ASSERT_EQ(dict.entries.size(), 2u);
  EXPECT_EQ(dict.entries[0].key.as_string(), "a");
  EXPECT_EQ(dict.entries[0].value.as_int(), 3);
}

TEST(PickleMachine, NumbersThatAreEqualAreOneKey) {
  Arena arena;
  // {1: 1, 1.0: 2, True: 3}
  const std::string pickle = "\x80\x02}(K\x01K\x01G\x3f\xf0\0\0\0\0\0\0K\x02\x88K\x03u."s;
  const DictNode& dict = read(arena, pickle).as_dict();
  ASSERT_EQ(dict.entries.size(), 1u);
  EXPECT_EQ(dict.entries[0].key.as_int(), 1);
  EXPECT_EQ(dict.entries[0].value.as_int(), 3);
}

TEST(PickleMachine, KeysAreFoundInLargeDictsOverSeveralBatches) {
  Arena arena;
  std::string pickle = "\x80\x02}"s;
  for (int batch = 0; batch < 4; ++batch) {
    pickle += "(";
    for (int i = 0; i < 1000; ++i)
      pickle +=
          "J"s + std::string(reinterpret_cast<const char*>(&i), 4) + "K" + static_cast<char>(batch);
    pickle += "u";
  }
  const DictNode& dict = read(arena, pickle + ".").as_dict();
  ASSERT_EQ(dict.entries.size(), 1000u);
  EXPECT_EQ(dict.entries[999].key.as_int(), 999);
  EXPECT_EQ(dict.entries[999].value.as_int(), 3);
}

TEST(PickleMachine, IdentityIsKeptThroughTheMemo) {
  Arena arena;
  const Value list = read(arena,
                          "\x80\x02]q\x00h\x00"
                          "a."s);
  EXPECT_EQ(list.as_sequence().items[0].identity(), list.identity());
}

TEST(PickleMachine, AnUnknownCallIsRecordedAndNotMade) {
  Arena arena;
  const OpaqueNode& node = read(arena, "cposix\nsystem\n(X\x02\0\0\0lstR."s).as_opaque();
  EXPECT_EQ(node.name, "posix.system");
  EXPECT_EQ(node.args.as_sequence().items[0].as_string(), "ls");
}

TEST(PickleMachine, ErrorsNameTheByteAndTheOpcode) {
  const Error error = failure("\x80\x02K\x01K\x02\x86X\xff\xff\xff\x7f"s);
  EXPECT_EQ(error.code(), Code::kCorrupt);
  EXPECT_NE(std::string(error.what()).find("byte 7 (BINUNICODE)"), std::string::npos)
      << error.what();
}

TEST(PickleMachine, ExtensionCodesBuffersAndNewerProtocolsAreUnsupported) {
  for (const std::string& pickle :
       {"\x82\x01."s, "\x83\x01\0."s, "\x84\x01\0\0\0."s, "\x97."s, "N\x98."s, "\x80\x06N."s}) {
    EXPECT_EQ(failure(pickle).code(), Code::kUnsupported) << failure(pickle).what();
  }
}

TEST(PickleMachine, AStateForAClassItselfIsRefusedByName) {
  const Error error = failure("ctorch.nn\nModule\n}b."s);
  EXPECT_EQ(error.code(), Code::kCorrupt);
  EXPECT_NE(std::string(error.what()).find("torch.nn.Module"), std::string::npos) << error.what();
}

TEST(PickleMachine, TextIntegersOfAnySizeKeepTheirValue) {
  Arena arena;
  EXPECT_EQ(read(arena, "L-12L\n."s).as_int(), -12);
  EXPECT_EQ(read(arena, "I9223372036854775807\n."s).as_int(), 9223372036854775807);
  const Value big = read(arena, "L9223372036854775808L\n."s);
  ASSERT_EQ(big.kind(), Kind::kBigInt);
  EXPECT_EQ(big.as_bytes().size(), 9u);
}

TEST(PickleMachine, APython2StringThatIsNoUtf8StaysBytes) {
  Arena arena;
  EXPECT_EQ(read(arena, "U\x02\xff\xfe."s).kind(), Kind::kBytes);
  EXPECT_EQ(read(arena, "U\x02ok."s).as_string(), "ok");
}

TEST(PickleMachine, ANumpyRecordCannotContainItself) {
  Arena arena;
  // d = numpy.dtype("V8"); d.__setstate__((3, "|", None, ("f",), {"f": (d, 0)}, 8, 1, 16))
  const std::string pickle =
      "cnumpy\ndtype\n(X\x02\0\0\0V8\x89\x88tRq\x00(K\x03X\x01\0\0\0|N(X\x01\0\0\0ft}X\x01\0\0\0fh\x00K\x00\x86sK\x08K\x01K\x10tb."s;
  const RecordNode& dtype = read(arena, pickle).as_record();
  EXPECT_EQ(dtype.fields[0].as_sequence().items.size(), 1u);
}

}  // namespace
}  // namespace reprise::pickle
