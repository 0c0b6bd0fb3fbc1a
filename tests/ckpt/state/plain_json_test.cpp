#include "ckpt/state/plain_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace reprise {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

TEST(PlainJson, RecursiveValueEnds) {
  Arena arena;
  const Value list = arena.list();
  list.as_sequence().items.push_back(arena, list);
  EXPECT_THAT(dump_json(to_plain_json(list)), HasSubstr("nested too deeply"));
}

// 200 levels, each with the one below under two names: 2^200 ways through 201 dicts. Within its
// budget of a million values this took minutes, since each object copied what was in it.
TEST(PlainJson, SharedDictsEndSoon) {
  Arena arena;
  Value below = arena.dict();
  for (int level = 0; level < 200; ++level) {
    const Value dict = arena.dict();
    for (const char* key : {"a", "b"}) dict.as_dict().append(arena, key, below);
    below = dict;
  }
  EXPECT_LT(dump_json(to_plain_json(below)).size(), 10u << 20);
}

TEST(PlainJson, WhatAFileHoldsOnceIsWholeHoweverMuchItIs) {
  Arena arena;
  const Value list = arena.list();
  for (int i = 0; i < 300'000; ++i) {
    const Value item = arena.dict();
    item.as_dict().append(arena, "i", Value::integer(i));
    list.as_sequence().items.push_back(arena, item);
  }
  const Json json = to_plain_json(list);
  EXPECT_EQ(json.size(), 300'000U);
  EXPECT_EQ(json.back().at("i"), 299'999);
}

TEST(PlainJson, BudgetIsOneForAllThatOneObjectConverts) {
  Arena arena;
  const Value list = arena.list(std::vector<Value>(1000, Value::integer(1)));
  PlainJson plain;
  std::size_t whole = 0;
  for (int i = 0; i < 1000; ++i) whole += plain.convert(list).is_array() ? 1U : 0U;
  EXPECT_GT(whole, 50U);
  EXPECT_LT(whole, 150U);
  EXPECT_EQ(plain.convert(list), "<too large>");
  EXPECT_THAT(plain.convert(arena.list(std::vector<Value>(3, Value::integer(1)))), Each(Json(1)))
      << "another list has not been there before";
}

TEST(PlainJson, LaterOfTwoKeysOfOneTextTakesTheFirstOnesPlace) {
  Arena arena;
  const Value dict = arena.dict();
  dict.as_dict().append(arena, Value::integer(1), Value::integer(10));
  dict.as_dict().append(arena, "x", Value::integer(11));
  dict.as_dict().append(arena, "1", Value::integer(12));
  EXPECT_EQ(dump_json(to_plain_json(dict)), R"({"1":12,"x":11})");
}

TEST(PlainJson, NamesOfLongClassesAreNotMultiplied) {
  Arena arena;
  const Value name = arena.global("foo." + std::string(1 << 20, 'a'));
  const Value list = arena.list();
  for (int i = 0; i < 10'000; ++i) {
    list.as_sequence().items.push_back(arena, name);
    list.as_sequence().items.push_back(arena, arena.opaque(name));
  }
  EXPECT_LT(dump_json(to_plain_json(list)).size(), 10u << 20);
}

}  // namespace
}  // namespace reprise
