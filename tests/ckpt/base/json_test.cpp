#include "ckpt/base/json.h"

#include "ckpt/base/error.h"
#include "ckpt/base/nearest_name.h"
#include "ckpt/base/parallel.h"
#include "ckpt/base/progress.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>

namespace reprise {
namespace {

std::string message(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kCorrupt);
    return error.what();
  }
  return "";
}

TEST(Json, KeepsOrderAndRoundTripsDoubles) {
  const std::string text = R"({"z":0.1,"a":[1,-2,1e300],"t":true,"n":null})";
  EXPECT_EQ(dump_json(parse_json(text)), R"({"z":0.1,"a":[1,-2,1e+300],"t":true,"n":null})");
  EXPECT_EQ(parse_json("0.30000000000000004").get<double>(), 0.1 + 0.2);
}

TEST(Json, DepthIsLimited) {
  EXPECT_NO_THROW(parse_json(std::string(64, '[') + std::string(64, ']')));
  EXPECT_EQ(message([] { parse_json(std::string(65, '[') + std::string(65, ']')); }),
            "JSON: nested more than 64 levels deep");
  EXPECT_EQ(message([] { parse_json(std::string(10'000'000, '[')); }),
            "JSON: nested more than 64 levels deep");
}

TEST(Json, RepeatedKeysAreRefused) {
  EXPECT_EQ(message([] { parse_json(R"({"a":1,"b":{"a":2},"a":3})"); }),
            "JSON: key 'a' occurs twice in one object");
}

TEST(Json, MalformedTextIsNamedByByte) {
  for (const char* text :
       {"", "{", "[1,]", "{\"a\":}", "nul", "1 2", "\"\xff\"", "'a'", "NaN", "[1e999]"}) {
    EXPECT_TRUE(message([&] { parse_json(text); }).starts_with("JSON: ")) << text;
  }
}

TEST(Json, BadUtf8IsReplacedWhenWritten) {
  EXPECT_EQ(dump_json(Json("a\xff")), "\"a\xEF\xBF\xBD\"");
}

TEST(Json, RequiredFieldsNamePlaceAndType) {
  const Json json = {{"n", -1}, {"s", "x"}};
  EXPECT_EQ(require_string(json, "s", "here"), "x");
  EXPECT_EQ(message([&] { require_uint(json, "n", "here"); }),
            "here: 'n' is number, a non-negative integer was expected");
  EXPECT_EQ(message([&] { require_array(json, "a", "here"); }),
            "here: 'a' is missing, an array was expected");
  EXPECT_EQ(message([&] { require_object(Json::array(), "a", "here"); }),
            "here: 'a' is missing, an object was expected");
}

TEST(NearestName, FindsTyposAndSwaps) {
  const std::vector<std::string> known = {"learning-rate", "lr", "batch-size", "seed"};
  EXPECT_EQ(nearest_name("learnign-rate", known), "learning-rate");
  EXPECT_EQ(nearest_name("sede", known), "seed");
  EXPECT_EQ(nearest_name("batchsize", known), "batch-size");
  EXPECT_FALSE(nearest_name("optimizer", known));
  EXPECT_FALSE(nearest_name("", known));
}

TEST(ParallelFor, EachIndexOnceWhateverTheThreads) {
  for (const unsigned jobs : {0U, 1U, 3U, 50U}) {
    std::vector<std::atomic<int>> hits(1000);
    parallel_for(hits.size(), jobs, [&](std::size_t i) { ++hits[i]; });
    for (const auto& hit : hits) ASSERT_EQ(hit, 1);
  }
  parallel_for(0, 4, [](std::size_t) { FAIL(); });
}

TEST(ParallelFor, FirstExceptionIsRethrownAndNothingStartsAfterIt) {
  std::atomic<int> started{0};
  EXPECT_THROW(parallel_for(1'000'000, 4,
                            [&](std::size_t i) {
                              ++started;
                              if (i == 10) throw std::runtime_error("ten");
                            }),
               std::runtime_error);
  EXPECT_LT(started, 1'000'000);
}

TEST(Format, BytesAndDurations) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_bytes(std::uint64_t{5} << 30), "5.0 GiB");
  EXPECT_EQ(format_duration(7.4), "0:07");
  EXPECT_EQ(format_duration(3600 * 3 + 13 * 60 + 52), "3:13:52");
}

}  // namespace
}  // namespace reprise
